//! Which pattern a request fits, as text.

use super::*;
use crate::http::request::Request;

fn named(name: &'static str) -> impl Handler {
    async move |_: &Ctx, request: Request| {
        let params =
            request.params().iter().map(|(name, value)| format!(" {name}={value}")).collect::<String>();
        format!("{name}{params}")
    }
}

/// Patterns, one a line, and what requests get: `METHOD TARGET -> answer`.
#[track_caller]
fn check(patterns: &[&'static str], cases: &[&str]) {
    let router = patterns.iter().fold(Router::new(), |router, pattern| router.route(pattern, named(pattern)));
    assert_eq!(router.all_faults(), []);
    let runtime = tokio::runtime::Builder::new_current_thread().build_local(Default::default()).unwrap();
    for case in cases {
        let (request, expected) = case.split_once(" -> ").unwrap();
        let (method, target) = request.split_once(' ').unwrap();
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let response = runtime.block_on(router.call(&Ctx::background(), Request::new(method, target)));
        let status = response.status().as_u16();
        let told =
            ["allow", "location"].into_iter().find_map(|name| response.header(name).map(str::to_owned));
        let answer = match (status, told) {
            (200, _) => runtime.block_on(response.text()).unwrap(),
            (status, Some(told)) => format!("{status} {told}"),
            (status, None) => status.to_string(),
        };
        assert_eq!(answer, expected, "{request}");
    }
}

#[test]
fn the_narrowest_pattern_answers_whatever_the_order() {
    check(
        &[
            "/",
            "GET /items/{id}",
            "GET /items/new",
            "GET /items/{id}/parts/{rest...}",
            "/static/",
            "/static/{$}",
        ],
        &[
            "GET / -> /",
            "GET /a/b -> /",
            "GET /items/7 -> GET /items/{id} id=7",
            "HEAD /items/7 -> GET /items/{id} id=7",
            "POST /items/7 -> /",
            "GET /items/new -> GET /items/new",
            "GET /items/a%20b -> GET /items/{id} id=a b",
            "GET /items/7/parts/1/2 -> GET /items/{id}/parts/{rest...} id=7 rest=1/2",
            "GET /items/7/parts/ -> GET /items/{id}/parts/{rest...} id=7 rest=",
            "GET /static/ -> /static/{$}",
            "GET /static/a.css -> /static/",
        ],
    );
}

#[test]
fn what_fits_none_is_told_what_would_s15() {
    check(
        &["GET /a", "POST /a", "/tree/", "GET /{$}"],
        &[
            "PUT /a -> 405 GET, HEAD, POST",
            "GET /b -> 404",
            "GET /tree -> 301 /tree/",
            "POST /tree?x=1 -> 308 /tree/?x=1",
            "GET / -> GET /{$}",
            "GET /a/ -> 404",
        ],
    );
}

#[test]
fn a_text_that_leads_nowhere_gives_way_to_a_name() {
    check(
        &["/a/b/c", "/{x}/b/d", "/{x}/{y}/{z}"],
        &["GET /a/b/c -> /a/b/c", "GET /a/b/d -> /{x}/b/d x=a", "GET /a/b/e -> /{x}/{y}/{z} x=a y=b z=e"],
    );
}

#[track_caller]
fn check_faults(patterns: &[&str], expected: &[&str]) {
    let router = patterns.iter().fold(Router::new(), |router, pattern| router.route(pattern, named("x")));
    let faults: Vec<_> = router.all_faults().iter().map(ToString::to_string).collect();
    assert_eq!(faults, expected);
}

#[test]
fn patterns_that_are_none_or_contradict_are_told() {
    check_faults(
        &["a", "GE T /", "/{a}/{a}", "/{a...}/b", "/x{y}", "//", "/{1}"],
        &[
            r#"route "a": has no path; it begins with /"#,
            r#"route "GE T /": "T " is no host"#,
            r#"route "/{a}/{a}": "a" stands for two segments"#,
            r#"route "/{a...}/b": {a...} stands for all that is left, so nothing can follow it"#,
            r#"route "/x{y}": "x{y}" is neither a name in braces nor without any"#,
            r#"route "//": two slashes; a path in its canonical form has none"#,
            r#"route "/{1}": "1" is no name: letters, digits and _ may be in one"#,
        ],
    );
    check_faults(
        &["/a/{x}", "/{y}/b", "GET /c", "GET /c", "/d", "GET /d", "/e/f/{n}", "/e/f/{m}"],
        &[
            r#"route "/{y}/b": some requests fit "/a/{x}" as well, and neither of the two is the narrower one"#,
            r#"route "GET /c": the same requests as "GET /c""#,
            r#"route "/e/f/{m}": the same requests as "/e/f/{n}""#,
        ],
    );
}

#[tokio::test(flavor = "local")]
async fn layers_stand_before_everything_and_nested_routes_keep_theirs() {
    async fn tagged(ctx: &Ctx, request: Request, next: super::super::Next<'_>) -> Response {
        next.run(ctx, request).await.with_header("X-Tag", "outer")
    }
    async fn guarded(ctx: &Ctx, request: Request, next: super::super::Next<'_>) -> Response {
        match request.header("x-key") {
            Some(_) => next.run(ctx, request).await,
            None => StatusCode::UNAUTHORIZED.into_response(),
        }
    }
    let inner = Router::new().get("/secret", named("secret")).with(guarded);
    let router = Router::new().get("/open", named("open")).nest("/api", inner).with(tagged);
    for (target, key, status) in
        [("/open", false, 200), ("/api/secret", false, 401), ("/api/secret", true, 200), ("/no", false, 404)]
    {
        let mut request = Request::new(Method::GET, target);
        if key {
            request.headers_mut().set("X-Key", "1").unwrap();
        }
        let response = router.call(&Ctx::background(), request).await;
        assert_eq!(
            (response.status().as_u16(), response.header("x-tag")),
            (status, Some("outer")),
            "{target}"
        );
    }
}
