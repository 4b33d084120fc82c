//! Which hooks at a forge stand for a declared one.

use apt_ci::forge::Forge;
use apt_ci::forge::hook::Hook;
use apt_ci::forge::query::Query;
use apt_ci::forge::remote::PresentHook;
use apt_ci::release::Architecture;
use apt_ci::server_url::ServerUrl;

/// A declared hook's counterpart at the forge.
pub struct Counterpart<'p> {
    /// The hooks that send what it asks for: at best one with its own address. Others that work may share the architectures.
    pub hooks: Vec<&'p PresentHook>,
    /// How it differs from what was made there, if it does.
    pub drift: Option<&'static str>,
    /// The address that the first one is to have.
    pub url: String,
}

impl Counterpart<'_> {
    /// The hooks, each with the address that it is to have.
    pub fn addresses(&self) -> impl Iterator<Item = (&PresentHook, &str)> {
        let own = std::iter::once(self.url.as_str());
        let others = self.hooks.iter().skip(1).map(|hook| hook.url.as_str());
        self.hooks.iter().copied().zip(own.chain(others))
    }
}

/// Finds a hook's counterpart among those that are present.
pub fn find<'p>(hook: &Hook, service: &ServerUrl, present: &'p [PresentHook]) -> Option<Counterpart<'p>> {
    let url = hook.payload_url(service);
    let mut hooks: Vec<&PresentHook> = present.iter().filter(|present| accepts(hook, service, &present.url)).collect();
    hooks.sort_by_key(|present| (present.url != url, fault(present).is_some()));
    let first = *hooks.first()?;
    hooks.retain(|present| present.id == first.id || fault(present).is_none());
    let asked: Vec<Architecture> = hooks
        .iter()
        .filter_map(|present| hook.asked(&asked_at(&present.url, hook.forge, service).flatten()?))
        .flat_map(|asked| asked.architectures)
        .collect();
    let is_whole = hook.architectures.iter().all(|one| asked.contains(one));
    let drift = fault(first).or_else(|| (!is_whole).then_some("fewer architectures"));
    Some(Counterpart { hooks, drift, url: if is_whole { first.url.clone() } else { url } })
}

/// What keeps a hook from sending what it was made for.
fn fault(present: &PresentHook) -> Option<&'static str> {
    match present {
        present if !present.active => Some("inactive"),
        present if !present.tells_of_pulls => Some("wrong events"),
        present if !present.checks_certificate => Some("unverified"),
        _ => None,
    }
}

/// What sends to this service and asks for nothing that is declared.
pub fn strays(forge: Forge, hooks: &[&Hook], service: &ServerUrl, present: Vec<PresentHook>) -> Vec<PresentHook> {
    let is_stray =
        |url: &str| asked_at(url, forge, service).is_some() && !hooks.iter().any(|hook| accepts(hook, service, url));
    present.into_iter().filter(|present| is_stray(&present.url)).collect()
}

/// Whether deliveries to this address ask for tests of this hook.
pub fn accepts(hook: &Hook, service: &ServerUrl, url: &str) -> bool {
    asked_at(url, hook.forge, service).flatten().is_some_and(|query| hook.asked(&query).is_some())
}

/// What an address asks this service for; none for an address elsewhere. What it asks for may be nothing that can be understood.
fn asked_at(url: &str, forge: Forge, service: &ServerUrl) -> Option<Option<Query>> {
    let below = url.strip_prefix(&format!("{service}/"))?;
    let (page, query) = below.split_once('?').unwrap_or((below, ""));
    let is_ours = page == "request.cgi" || page.strip_prefix("webhooks/") == Some(forge.as_str());
    is_ours.then(|| Query::parse(query).ok())
}
