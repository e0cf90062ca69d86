//! Section 8 of the design: what is believed, what is told, and what crosses the boundary of trust.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;
use towpath::ctx::wire::{Accepted, Baggage, Egress, Ingress, Limits, Protocol, TraceParent, TraceState};
use towpath::ctx::{Cause, Ctx, CtxValue};
use towpath_base::random::Random;

use crate::secs;

const TRACE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

fn ms(count: u64) -> Duration {
    Duration::from_millis(count)
}

fn ingress(protocol: Protocol, is_trusted: bool) -> Ingress {
    Ingress { limits: Limits::default(), protocol, is_trusted, route_timeout: None }
}

fn accept(ingress: Ingress, headers: &[(&str, &str)]) -> Accepted {
    let find =
        |name: &str| headers.iter().find(|(other, _)| *other == name).map(|(_, value)| value.as_bytes());
    ingress.accept(&Ctx::background(), find).unwrap()
}

/// What is left of a request with these headers, and whether something was ignored.
fn left(ingress: Ingress, headers: &[(&str, &str)]) -> (Duration, bool) {
    let accepted = accept(ingress, headers);
    (accepted.ctx.remaining().unwrap(), accepted.has_bad_timeout)
}

#[tokio::test(start_paused = true)]
async fn the_shortest_of_header_route_and_maximum_counts_and_it_is_never_infinite() {
    for protocol in [Protocol::Http, Protocol::Grpc] {
        let any = ingress(protocol, false);
        assert_eq!(left(any, &[]), (secs(30), false));
        assert_eq!(left(any, &[("grpc-timeout", "250m")]), (ms(250), false));
        assert_eq!(left(any, &[("grpc-timeout", "99999999H")]), (secs(60), false));
        let route = Ingress { route_timeout: Some(secs(5)), ..any };
        assert_eq!(left(route, &[]), (secs(5), false));
        assert_eq!(left(route, &[("grpc-timeout", "7S")]), (secs(5), false));
        assert_eq!(left(route, &[("grpc-timeout", "3S")]), (secs(3), false));
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_never_outlives_its_connection_r02() {
    let parent = Ctx::background().with_timeout(secs(2));
    let accepted = ingress(Protocol::Http, false).accept(&parent, |_| None).unwrap();
    assert_eq!(accepted.ctx.deadline(), parent.deadline());
    accepted.guard.cancel(Cause::ClientGone);
    assert!(parent.check().is_ok() && matches!(accepted.ctx.err(), Some(Cause::ClientGone)));
}

#[tokio::test(start_paused = true)]
async fn a_malformed_timeout_is_an_error_of_grpc_and_ignored_by_http() {
    assert_eq!(left(ingress(Protocol::Http, false), &[("grpc-timeout", "soon")]), (secs(30), true));
    let long = "9".repeat(1_000);
    let error =
        ingress(Protocol::Grpc, false).accept(&Ctx::background(), |_| Some(long.as_bytes())).unwrap_err();
    assert_eq!(error.grpc_status(), 3);
    assert!(error.to_string().len() < 120, "{error}");
}

#[tokio::test(start_paused = true)]
async fn timeouts_of_proxies_count_from_trusted_peers_only_a13() {
    for name in ["x-envoy-expected-rq-timeout-ms", "x-request-timeout-ms"] {
        let headers = [(name, "1500"), ("grpc-timeout", "9S")];
        assert_eq!(left(ingress(Protocol::Http, true), &headers), (ms(1_500), false));
        assert_eq!(left(ingress(Protocol::Http, false), &headers), (secs(9), false));
        assert_eq!(left(ingress(Protocol::Grpc, true), &[(name, "never")]), (secs(30), true));
        assert_eq!(left(ingress(Protocol::Http, true), &[(name, "0")]), (secs(30), true), "never infinite");
    }
}

#[tokio::test(start_paused = true)]
async fn trace_and_baggage_come_from_trusted_peers_only() {
    let headers = [("traceparent", TRACE), ("tracestate", "a=b"), ("baggage", "user=7")];
    let said = TraceParent::decode(TRACE).unwrap();
    let trusted = accept(ingress(Protocol::Http, true), &headers).ctx;
    let trace = *trusted.get::<TraceParent>().unwrap();
    assert_eq!((trace.trace_id(), trace.is_sampled()), (said.trace_id(), true));
    assert_ne!(trace.span_id(), said.span_id());
    assert_eq!(trusted.get::<TraceState>().unwrap().text(), "a=b");
    assert_eq!(trusted.get::<Baggage>().unwrap().text(), "user=7");
    let stranger = accept(ingress(Protocol::Http, false), &headers).ctx;
    assert_ne!(stranger.get::<TraceParent>().unwrap().trace_id(), said.trace_id());
    assert!(stranger.get::<TraceState>().is_none() && stranger.get::<Baggage>().is_none());
}

#[tokio::test(start_paused = true)]
async fn baggage_is_passed_whole_or_dropped_whole_s24() {
    for (bytes, is_kept) in [(8_192, true), (8_193, false)] {
        let baggage = "b".repeat(bytes);
        let accepted = accept(ingress(Protocol::Http, true), &[("baggage", &baggage)]);
        assert_eq!((accepted.ctx.get::<Baggage>().is_some(), accepted.has_bad_baggage), (is_kept, !is_kept));
    }
    assert!(accept(ingress(Protocol::Http, true), &[("baggage", "a=b\r\nhost: x")]).has_bad_baggage);
}

#[derive(CtxValue)]
#[ctx(propagate = "wire", header = "x-tenant", bytes_max = 8)]
struct Tenant(String);

fn egress<'a>(protocol: Protocol, is_trusted: bool, allow: &'a [&'a str]) -> Egress<'a> {
    Egress { limits: Limits::default(), protocol, is_trusted, propagate_deadline: false, allow }
}

fn told(egress: Egress<'_>, ctx: &Ctx) -> HashMap<&'static str, Option<String>> {
    let headers = egress.headers(ctx).unwrap();
    let count = headers.len();
    let map: HashMap<_, _> = headers.into_iter().collect();
    assert_eq!(map.len(), count, "each header once");
    map
}

#[tokio::test(start_paused = true)]
async fn an_upstream_is_told_what_is_left_less_a_margin() {
    let ctx = |span| Ctx::background().with_timeout(span);
    let grpc = egress(Protocol::Grpc, false, &[]);
    for (span, text) in [
        (secs(10), "9500000u"),
        (ms(100), "95000000n"),
        (ms(10), "8000000n"),
        (secs(3_600), "3420000m"),
        (Duration::from_nanos(2_000_001), "1n"),
    ] {
        assert_eq!(told(grpc, &ctx(span))["grpc-timeout"].as_deref(), Some(text), "{span:?}");
    }
    let http = egress(Protocol::Http, true, &[]);
    assert_eq!(told(http, &ctx(secs(10)))["grpc-timeout"], None);
    let asked = Egress { propagate_deadline: true, ..http };
    assert_eq!(told(asked, &ctx(secs(10)))["grpc-timeout"].as_deref(), Some("9500000u"));
}

#[tokio::test(start_paused = true)]
async fn nothing_is_dialled_when_no_time_is_left_a7() {
    let grpc = egress(Protocol::Grpc, false, &[]);
    for span in [Duration::ZERO, ms(1), ms(2)] {
        let error = grpc.headers(&Ctx::background().with_timeout(span)).unwrap_err();
        assert!(matches!(error, Cause::DeadlineExceeded { .. }), "{span:?}");
    }
    let (ctx, guard) = Ctx::background().with_cancel();
    guard.cancel(Cause::ClientGone);
    assert!(matches!(egress(Protocol::Http, true, &[]).headers(&ctx), Err(Cause::ClientGone)));
}

#[tokio::test(start_paused = true)]
async fn the_trace_stays_inside_the_boundary_and_values_need_the_allow_list_r21() {
    let headers = [("traceparent", TRACE), ("tracestate", "a=b"), ("baggage", "user=7")];
    let accepted = accept(ingress(Protocol::Http, true), &headers);
    let ctx = accepted.ctx.with(Tenant("blue".to_owned()));
    let inside = told(egress(Protocol::Http, true, &["x-tenant"]), &ctx);
    assert_eq!(inside["traceparent"], Some(ctx.get::<TraceParent>().unwrap().to_string()));
    assert_eq!(inside["tracestate"].as_deref(), Some("a=b"));
    assert_eq!(inside["baggage"].as_deref(), Some("user=7"));
    assert_eq!(inside["x-tenant"].as_deref(), Some("blue"));
    // `None` removes what the caller sent under the name.
    let outside = told(egress(Protocol::Http, false, &[]), &ctx);
    let names = [
        "traceparent",
        "tracestate",
        "baggage",
        "x-tenant",
        "x-envoy-expected-rq-timeout-ms",
        "x-request-timeout-ms",
    ];
    assert!(names.iter().all(|name| outside[name].is_none()), "{outside:?}");
}

#[tokio::test(start_paused = true)]
async fn a_value_that_is_too_long_or_no_text_is_not_sent() {
    for text in ["123456789", "a\r\nb", "ü"] {
        let ctx = Ctx::background().with(Tenant(text.to_owned()));
        assert_eq!(told(egress(Protocol::Http, true, &["x-tenant"]), &ctx)["x-tenant"], None, "{text:?}");
        let read =
            ingress(Protocol::Http, true).value::<Tenant>(Ctx::background(), |_| Some(text.as_bytes()));
        assert!(read.get::<Tenant>().is_none(), "{text:?}");
    }
}

/// A12, for as long as the kit has no fuzz target: random bytes that look like the real ones.
#[tokio::test(start_paused = true)]
async fn no_header_panics_or_gives_more_than_the_maximum_a12() {
    let random = &mut Random::new(12);
    let alphabet = b"0123456789abcdefHMSmun-,=; \r\n\0\x80\xff";
    let words = ["0", "00-", "-01", "99999999", "H", TRACE, "a=b,", "\u{202e}"];
    for _ in 0..50_000 {
        let mut value = Vec::new();
        for _ in 0..random.below(6) {
            match random.below(3) {
                0 => value.extend_from_slice(words[random.below(8) as usize].as_bytes()),
                1 => value.push(alphabet[random.below(alphabet.len() as u64) as usize]),
                _ => drop(value.pop()),
            }
        }
        let protocol = [Protocol::Http, Protocol::Grpc][random.below(2) as usize];
        let now = Instant::now();
        if let Ok(accepted) = ingress(protocol, true).accept(&Ctx::background(), |_| Some(&value)) {
            assert!(accepted.ctx.deadline().unwrap() <= now + secs(60), "{value:?}");
            let sent = egress(Protocol::Http, true, &[]).headers(&accepted.ctx);
            let is_clean = |text: &String| text.bytes().all(|byte| (b' '..=b'~').contains(&byte));
            assert!(
                sent.into_iter().flatten().all(|(_, text)| text.as_ref().is_none_or(is_clean)),
                "{value:?}"
            );
        }
    }
}
