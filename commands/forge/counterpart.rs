//! Hooks at a forge that correspond to declared ones.

use apt_ci::forge::Forge;
use apt_ci::forge::hook::Hook;
use apt_ci::forge::query::Query;
use apt_ci::forge::remote::RemoteHook;
use apt_ci::release::Architecture;
use apt_ci::server_url::ServerUrl;

/// A declared hook's counterpart at the forge.
pub struct Counterpart<'p> {
    /// Hooks that send its deliveries: usually one with its own address, or several that share its architectures.
    pub hooks: Vec<&'p RemoteHook>,
    /// Difference from the declaration, if any.
    pub drift: Option<&'static str>,
    /// Address that the first hook should have.
    pub url: String,
}

impl Counterpart<'_> {
    /// Returns the hooks, each with the address that it should have.
    pub fn addresses(&self) -> impl Iterator<Item = (&RemoteHook, &str)> {
        let own = std::iter::once(self.url.as_str());
        let others = self.hooks.iter().skip(1).map(|hook| hook.url.as_str());
        self.hooks.iter().copied().zip(own.chain(others))
    }
}

/// Finds a hook's counterpart among the hooks at the forge.
pub fn find<'p>(hook: &Hook, service: &ServerUrl, present: &'p [RemoteHook]) -> Option<Counterpart<'p>> {
    let url = hook.payload_url(service);
    let mut hooks: Vec<&RemoteHook> = present.iter().filter(|present| accepts(hook, service, &present.url)).collect();
    hooks.sort_by_key(|present| (present.url != url, fault(present).is_some()));
    let first = *hooks.first()?;
    hooks.retain(|present| present.id == first.id || fault(present).is_none());
    let asked: Vec<Architecture> = hooks
        .iter()
        .filter_map(|present| hook.for_query(&asked_at(&present.url, hook.forge, service).flatten()?))
        .flat_map(|asked| asked.architectures)
        .collect();
    let is_whole = hook.architectures.iter().all(|one| asked.contains(one));
    let drift = fault(first).or_else(|| (!is_whole).then_some("fewer architectures"));
    Some(Counterpart { hooks, drift, url: if is_whole { first.url.clone() } else { url } })
}

/// Returns why a hook at the forge does not work as intended, if so.
fn fault(present: &RemoteHook) -> Option<&'static str> {
    match present {
        present if !present.is_active => Some("inactive"),
        present if !present.sends_pulls => Some("wrong events"),
        present if !present.verifies_certificate => Some("unverified"),
        _ => None,
    }
}

/// Returns hooks at the forge that send to this service, but are not declared.
pub fn strays(forge: Forge, hooks: &[&Hook], service: &ServerUrl, present: Vec<RemoteHook>) -> Vec<RemoteHook> {
    let is_stray =
        |url: &str| asked_at(url, forge, service).is_some() && !hooks.iter().any(|hook| accepts(hook, service, url));
    present.into_iter().filter(|present| is_stray(&present.url)).collect()
}

/// Whether deliveries to this address ask for tests of this hook.
pub fn accepts(hook: &Hook, service: &ServerUrl, url: &str) -> bool {
    asked_at(url, hook.forge, service).flatten().is_some_and(|query| hook.for_query(&query).is_some())
}

/// Returns the query of an address of this service: `None` for an address elsewhere, `Some(None)` for an invalid query.
fn asked_at(url: &str, forge: Forge, service: &ServerUrl) -> Option<Option<Query>> {
    let below = url.strip_prefix(&format!("{service}/"))?;
    let (page, query) = below.split_once('?').unwrap_or((below, ""));
    let is_ours = page == "request.cgi" || page.strip_prefix("webhooks/") == Some(forge.as_str());
    is_ours.then(|| Query::parse(query).ok())
}
