//! Resources of a test: the testbed's size, and time.

use crate::release::QueueName;
use crate::request::SourcePackage;
use crate::testbed::conf::{PackageSize, WorkerConf};
use crate::testbed::decision::{Decision, DecisionSource};
use crate::testbed::limits::{Factors, Limits, MAX_COUNTED_TESTS};
use crate::testbed::overrides::ListName;
use crate::testbed::settings::Settings;

/// Lists of the override files that name a package.
pub(super) struct Special {
    pub(super) big: Option<DecisionSource>,
    pub(super) long: Option<DecisionSource>,
    pub(super) vm: Option<DecisionSource>,
}

impl Special {
    pub(super) fn of(settings: &Settings, package: &SourcePackage, queue: &QueueName) -> Self {
        let find = |name| settings.overrides.find(name, package, &queue.architecture, &queue.release);
        Self { big: find(ListName::BigPackages), long: find(ListName::LongTests), vm: find(ListName::VmPackages) }
    }
}

/// Resources of a test.
pub(super) struct Sizes<'a> {
    pub(super) testbed: &'a PackageSize,
    pub(super) limits: Limits,
    pub(super) decisions: Vec<Decision>,
}

pub(super) fn sizes<'a>(conf: &'a WorkerConf, special: &Special, queue: &QueueName) -> Sizes<'a> {
    let mut decisions = Vec::new();
    let testbed = match (&special.big, &conf.big_size) {
        (Some(line), Some(big)) => {
            let origins = vec![conf.origin("package_size_big"), line.clone()];
            decisions.push(Decision { what: "testbed size".to_owned(), value: big.text.clone(), origins });
            big
        }
        _ => {
            let usual = &conf.default_size;
            if !usual.text.is_empty() {
                let origin = conf.origin("package_size_default");
                decisions.push(Decision::new("testbed size", usual.text.clone(), origin));
            }
            usual
        }
    };
    let slow = queue.architecture.as_str() == "riscv64";
    let all = if slow { 4 } else { 1 };
    let (test, build, line) = match special {
        Special { long: Some(line), .. } => (4, 2, Some(line)),
        Special { big: Some(line), .. } => (2, 1, Some(line)),
        _ => (1, 1, None),
    };
    let limits = conf.limits.times(Factors { all, test, build });
    for ((name, seconds), (_, base)) in limits.options().into_iter().zip(conf.limits.options()) {
        let mut origins = vec![conf.origin(&format!("timeout_{name}"))];
        let own = match name {
            "test" => test,
            "build" => build,
            _ => 1,
        };
        let mut value = format!("{seconds} s");
        let factor = own * all;
        if factor > 1 {
            value.push_str(&format!(" = {factor} × {base} s"));
            origins.extend((all > 1).then_some(DecisionSource::Queue));
            origins.extend(line.filter(|_| own > 1).cloned());
        }
        decisions.push(Decision { what: format!("time limit, {name}"), value, origins });
    }
    let total = format!("{} s", limits.total().as_secs());
    decisions.push(Decision::new("hard limit", total, conf.origin("timeout_margin")));
    let what = format!("more per further test (up to {})", MAX_COUNTED_TESTS - 1);
    let more = format!("{} s", limits.per_test().as_secs());
    decisions.push(Decision { what, value: more, origins: vec![DecisionSource::Default] });
    Sizes { testbed, limits, decisions }
}
