//! Times of refusals: of an unknown project, compared with a wrong signature.

use std::time::{Duration, Instant};

use testkit::forge::deliver::post;

use crate::table::{Row, heading, median};
use crate::{PROJECT, WebFixture, payload};

/// Number of attempts of each kind, which alternate.
const ATTEMPTS: usize = 500;

pub fn measure(scene: &WebFixture) {
    heading("refusals, in turns");
    let url = scene.url();
    let once = |project: &str, number: usize| {
        let body = payload(project, 1);
        let signature = "0".repeat(64);
        let headers = format!(
            "X-GitHub-Event: pull_request\r\nX-GitHub-Delivery: refused-{number}\r\nX-Hub-Signature-256: sha256={signature}\r\n"
        );
        let begun = Instant::now();
        let (status, _) = post(&url, &headers, &body).expect("an answer");
        assert_eq!(status, 403);
        begun.elapsed()
    };
    let (mut wrong, mut unknown): (Vec<Duration>, Vec<Duration>) = (Vec::new(), Vec::new());
    for number in 0..ATTEMPTS {
        wrong.push(once(PROJECT, number));
        unknown.push(once("no/thing", number));
    }
    let (wrong, unknown) = (median(wrong), median(unknown));
    let ratio = unknown.as_secs_f64() / wrong.as_secs_f64();
    Row::time("a wrong signature, median", wrong).print();
    Row::time("an unknown project, median", unknown)
        .note(format!("{ratio:.2} times a wrong signature"))
        .wanted("0.9 to 1.1 times", (0.9..=1.1).contains(&ratio))
        .print();
}
