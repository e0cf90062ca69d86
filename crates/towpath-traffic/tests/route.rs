//! Routes: what a rule means, which one wins, and what is refused.

#[path = "common/words.rs"]
mod common;

use common::{Request, answer, rules, table};
use towpath_traffic::route::{HostRule, PathRule, RouteTable, Template};

/// Each request gets the answer beside it.
fn check(rules: &str, requests: &[(&str, &str)]) {
    let table = table(rules);
    for (request, expected) in requests {
        assert_eq!(answer(&table, request), *expected, "{request}");
    }
}

/// The faults, one per line, of rules that must not build.
fn check_faults(rules_text: &str, expected: &str) {
    let faults = RouteTable::build(rules(rules_text)).expect_err("faults");
    let lines: Vec<String> = faults.iter().map(ToString::to_string).collect();
    assert_eq!(lines.join("\n"), expected);
}

#[test]
fn hosts_compare_without_case_port_and_trailing_dot() {
    check(
        "a API.Example.com /*
         six [2001:db8::1] /*
         four 127.0.0.1 /*",
        &[
            ("GET http://api.example.com/", "a"),
            ("GET http://API.EXAMPLE.COM:8080/", "a"),
            ("GET http://api.example.com./", "a"),
            ("GET http://api.example.com.:80/", "a"),
            ("GET http://api.example.com:/", "a"),
            ("GET http://api.example.com../", "404"),
            ("GET http://api.example.com:x/", "404"),
            ("GET http://[2001:DB8::1]:443/", "six"),
            ("GET http://[2001:db8::1]/", "six"),
            ("GET http://[2001:db8::1/", "404"),
            ("GET http://127.0.0.1:9/", "four"),
            ("GET http:///", "404"),
        ],
    );
}

#[test]
fn wildcard_takes_every_depth_but_not_the_apex() {
    check(
        "w *.example.com /*",
        &[
            ("GET http://a.example.com/", "w"),
            ("GET http://a.b.EXAMPLE.com:1/", "w"),
            ("GET http://example.com/", "404"),
            ("GET http://.example.com/", "404"),
            ("GET http://notexample.com/", "404"),
            ("GET http://a.example.com.evil.org/", "404"),
        ],
    );
}

#[test]
fn wildcard_still_decides_about_a_host_longer_than_any_name_t41() {
    let host = format!("{}.example.com", "a".repeat(5_000));
    check(
        "w *.example.com /*",
        &[(&format!("GET http://{host}/"), "w"), (&format!("GET http://{host}x/"), "404")],
    );
}

#[test]
fn exact_host_before_longer_wildcard_before_shorter_before_any() {
    check(
        "any * /*
         short *.com /*
         long *.example.com /*
         exact a.example.com /*",
        &[
            ("GET http://a.example.com/", "exact"),
            ("GET http://b.example.com/", "long"),
            ("GET http://example.com/", "short"),
            ("GET http://example.org/", "any"),
        ],
    );
}

#[test]
fn host_outranks_path_but_a_host_without_a_matching_path_does_not_hide_others() {
    check(
        "everything a.example.com /*
         exact * /a
         narrow b.example.com /b
         wide *.example.com /c",
        &[
            ("GET http://a.example.com/a", "everything"),
            ("GET http://b.example.com/a", "exact"),
            ("GET http://b.example.com/c", "wide"),
            ("GET http://b.example.com/d", "404"),
        ],
    );
}

#[test]
fn exact_path_before_longest_prefix_before_pattern_before_everything() {
    check(
        "everything * /*
         pattern * /{first}/{second}/{third}
         short * /a/*
         long * /a/b/*
         exact * /a/b/c",
        &[
            ("GET http://h/a/b/c", "exact"),
            ("GET http://h/a/b/d", "long"),
            ("GET http://h/a/x/y", "short"),
            ("GET http://h/x/y/z", "pattern"),
            ("GET http://h/x/y", "everything"),
        ],
    );
}

#[test]
fn prefix_ends_at_a_segment_border() {
    check(
        "p * /shop/*",
        &[
            ("GET http://h/shop", "p"),
            ("GET http://h/shop/", "p"),
            ("GET http://h/shop/a/b", "p"),
            ("GET http://h/shopping", "404"),
            ("GET http://h/Shop", "404"),
            ("GET http://h/", "404"),
        ],
    );
}

#[test]
fn exact_path_is_only_itself() {
    check(
        "e * /a",
        &[
            ("GET http://h/a?x=1", "e"),
            ("GET http://h/a/", "404"),
            ("GET http://h/a/b", "404"),
            ("GET http://h/", "404"),
        ],
    );
}

#[test]
fn pattern_takes_one_segment_per_name_and_rest_takes_what_is_left() {
    check(
        "posts * /users/{id}/posts
         files * /files/{path...}",
        &[
            ("GET http://h/users/7/posts", "posts"),
            ("GET http://h/users//posts", "404"),
            ("GET http://h/users/7/posts/", "404"),
            ("GET http://h/users/7/8/posts", "404"),
            ("GET http://h/files", "files"),
            ("GET http://h/files/", "files"),
            ("GET http://h/files/a/b", "files"),
            ("GET http://h/filesystem", "404"),
        ],
    );
}

#[test]
fn pattern_with_more_matchers_wins_even_if_another_is_more_literal() {
    check(
        "loose * /{a}/{b} x-k=1
         literal * /users/{id} #1",
        &[("GET http://h/users/1 x-k: 1", "loose"), ("GET http://h/users/1", "literal")],
    );
}

#[test]
fn more_matchers_before_fewer_then_priority() {
    check(
        "plain * /a
         low * /a x-canary=* #1
         high * /a x-kind=b #2
         both * /a x-canary=* x-kind=b
         get * /a GET #-1",
        &[
            ("POST http://h/a", "plain"),
            ("POST http://h/a x-canary: 1", "low"),
            ("POST http://h/a x-kind: b", "high"),
            ("POST http://h/a X-Kind: b; X-Canary: ", "both"),
            ("GET http://h/a", "get"),
            ("GET http://h/a x-canary: 1", "low"),
        ],
    );
}

#[test]
fn header_values_are_exact_and_header_names_have_no_case() {
    check(
        "h * /* X-Canary=One",
        &[
            ("GET http://h/ x-canary: One", "h"),
            ("GET http://h/ X-CANARY: One", "h"),
            ("GET http://h/ x-canary: one", "404"),
            ("GET http://h/ x-canary: One ", "404"),
        ],
    );
}

#[test]
fn query_is_compared_decoded_and_the_first_of_a_name_counts() {
    check(
        "q * /* ?mode=a+b",
        &[
            ("GET http://h/?mode=a+b", "404"),
            ("GET http://h/?mode=a%2Bb", "q"),
            ("GET http://h/?mode=a%2bb", "q"),
            ("GET http://h/?m%6Fde=a%2Bb", "q"),
            ("GET http://h/?mode=x&mode=a%2Bb", "404"),
            ("GET http://h/?other=1&mode=a%2Bb&mode=x", "q"),
            ("GET http://h/?mode=a%2", "404"),
            ("GET http://h/", "404"),
        ],
    );
    check("q * /* ?debug=*", &[("GET http://h/?debug", "q"), ("GET http://h/?debugger=1", "404")]);
}

#[test]
fn wrong_method_alone_is_told_apart_from_no_route() {
    check(
        "read * /a GET,HEAD
         write * /a POST x-k=1
         other * /b PUT",
        &[
            ("DELETE http://h/a", "405 GET, HEAD"),
            ("DELETE http://h/a x-k: 1", "405 GET, HEAD, POST"),
            ("get http://h/a", "405 GET, HEAD"),
            ("GET http://h/b", "405 PUT"),
            ("GET http://h/c", "404"),
        ],
    );
}

#[test]
fn odd_requests_match_only_rules_for_every_path_t44() {
    let odd = |fallback: &'static str| {
        vec![("OPTIONS http://h*", fallback), ("CONNECT http://h", fallback), ("GET http://", fallback)]
    };
    check("prefix * /a/*\n rest * /{all...}\n root * /", &odd("404"));
    check("prefix * /a/*\n rest * /{all...}\n every * /*", &odd("every"));
}

#[test]
fn rule_paths_are_spelled_like_canonical_request_paths_t40() {
    for (written, canonical) in [
        ("/a%2fb", "/a%2Fb"),
        ("/%61/b", "/a/b"),
        ("/café/*", "/caf%C3%A9/*"),
        ("/users/{id}/", "/users/{id}/"),
        ("/files/{path...}", "/files/{path...}"),
        ("/*", "/*"),
    ] {
        assert_eq!(PathRule::parse(written).map(|rule| rule.to_string()), Ok(canonical.to_owned()));
    }
}

#[test]
fn bad_paths_say_what_is_wrong() {
    for (text, expected) in [
        ("a", "a path begins with `/`"),
        ("", "a path begins with `/`"),
        ("*", "a path begins with `/`"),
        ("/a*", "`*` stands only as the whole last segment, as in \"/shop/*\", without `{name}`"),
        ("/*/a", "`*` stands only as the whole last segment, as in \"/shop/*\", without `{name}`"),
        ("/{a}/*", "`*` stands only as the whole last segment, as in \"/shop/*\", without `{name}`"),
        ("/x{a}", "`x{a}`: braces enclose a whole segment, as in \"/users/{id}/posts\""),
        ("/{a", "`{a`: braces enclose a whole segment, as in \"/users/{id}/posts\""),
        ("/{}", "`` is no name; use letters, digits, `_` and `-`, a letter first"),
        ("/{1}", "`1` is no name; use letters, digits, `_` and `-`, a letter first"),
        ("/{a}/{a}", "`{a}` stands twice in one path"),
        ("/{a}/{a...}", "`{a}` stands twice in one path"),
        ("/{a...}/b", "`{a...}` takes the rest of the path, so it stands last"),
        ("/a/../b", "`.` and `..` never reach a route: paths are made canonical before"),
        ("/a/%2e%2E", "`.` and `..` never reach a route: paths are made canonical before"),
        ("/a?b", "'?' cannot stand in a path; write it as an escape such as %20"),
        ("/a%zz", "'%' cannot stand in a path; write it as an escape such as %20"),
    ] {
        assert_eq!(PathRule::parse(text).expect_err(text).to_string(), expected, "{text}");
    }
    assert!(PathRule::parse(&"/a".repeat(3_000)).is_err());
    assert!(PathRule::parse(&format!("{}/{{x}}", "/a".repeat(64))).is_err());
}

#[test]
fn bad_hosts_say_what_is_wrong() {
    for (text, expected) in [
        ("", "a host name is empty; write \"*\" for every host"),
        ("a.*.com", "`*` stands only for the whole first label, as in \"*.example.com\""),
        ("*a.com", "`*` stands only for the whole first label, as in \"*.example.com\""),
        ("a.com:80", "a host here has no port; the listener's `bind` decides the port"),
        ("[::1]:80", "a host here has no port; the listener's `bind` decides the port"),
        ("a..com", "a host name has no empty label (two dots in a row, or one first)"),
        ("*..com", "a host name has no empty label (two dots in a row, or one first)"),
        ("bücher.de", "'ü' cannot stand in a host name; write the `xn--` form"),
        ("a.com/x", "'/' cannot stand in a host name; write the `xn--` form"),
        ("[::1", "'[' cannot stand in a host name; write the `xn--` form"),
    ] {
        assert_eq!(HostRule::parse(text).expect_err(text).to_string(), expected, "{text}");
    }
    assert!(HostRule::parse(&"a".repeat(254)).is_err());
}

#[test]
fn a_tie_that_can_overlap_names_both_routes() {
    check_faults(
        "one * /a GET
         two * /a GET,POST
         three * /b x-k=1
         four * /b x-other=1
         five x.org /{a}/b
         six x.org /c/{d}",
        "routes `one` and `two` match the same requests and are equally specific; give one of them a `priority`\n\
         routes `three` and `four` match the same requests and are equally specific; give one of them a `priority`\n\
         routes `five` and `six` match the same requests and are equally specific; give one of them a `priority`",
    );
}

#[test]
fn equal_rank_without_overlap_is_no_tie() {
    table(
        "one * /a GET
         two * /a POST
         three * /b x-k=1
         four * /b x-k=2
         five * /c ?v=1
         six * /c ?v=2
         seven * /{a}/b
         eight * /{a}/c
         nine * /{a}/{b}/d
         ten a.org /a GET
         eleven b.org /a GET",
    );
}

#[test]
fn a_duplicate_with_lower_priority_is_unreachable() {
    check_faults(
        "low * /a GET x-k=1
         high * /a GET x-k=1 #5
         user * /users/{id}
         person * /users/{name} #-1",
        "route `low` is never chosen: route `high` takes every request it would match\n\
         route `person` is never chosen: route `user` takes every request it would match",
    );
}

#[test]
fn a_pattern_under_a_prefix_that_takes_all_of_it_is_a_warning() {
    let hidden = table("prefix * /users/*\n pattern * /users/{id}/posts GET");
    let warnings: Vec<String> = hidden.warnings().iter().map(ToString::to_string).collect();
    assert_eq!(
        warnings,
        ["route `pattern` is never chosen: route `prefix` takes every request it would match"]
    );
    for seen in [
        "prefix * /users/* GET\n pattern * /users/{id}/posts",
        "prefix * /users/* x-k=1\n pattern * /users/{id}/posts",
        "prefix a.org /users/*\n pattern * /users/{id}/posts",
        "prefix * /users/me/*\n pattern * /users/{id}/posts",
    ] {
        assert_eq!(table(seen).warnings(), [], "{seen}");
    }
}

#[test]
fn ten_thousand_equal_rules_give_as_many_faults_and_not_their_square() {
    let many: String = (0..10_000).map(|i| format!("r{i} * /a\n")).collect();
    assert_eq!(RouteTable::build(rules(&many)).expect_err("faults").len(), 9_999);
}

#[test]
fn words_that_are_no_tokens_are_refused_all_at_once() {
    check_faults(
        "m * /a GE(T
         h * /b x:y=1",
        "route `m`: \"GE(T\" is not a method name\nroute `h`: \"x:y\" is not a header field name",
    );
}

#[test]
fn explain_says_of_each_route_why_it_lost_p06() {
    let table = table(
        "host api.example.com /a
         path * /b
         method * /a POST #3
         canary * /a x-canary=1 #2
         query * /a ?v=2 #1
         winner * /a GET
         wide * /*
         spare * /a #-1",
    );
    let request = Request::parse("GET http://example.com/a?v=1");
    let lines: Vec<String> = request.with_view(|view| {
        let mut candidates = table.explain(view);
        candidates.sort_by_key(|candidate| candidate.route);
        candidates.iter().map(|candidate| table.describe(candidate)).collect()
    });
    assert_eq!(
        lines,
        [
            "host: lost, its host is api.example.com",
            "path: lost, its path is /b",
            "method: lost, its methods are POST",
            "canary: lost, header x-canary is missing",
            "query: lost, query parameter v differs",
            "winner: chosen",
            "wide: matches, but winner has the more specific path",
            "spare: matches, but winner has more matchers",
        ]
    );
}

#[test]
fn captures_name_the_parts_of_the_path() {
    let table = table(
        "user * /users/{id}/posts/{post}
         file * /files/{kind}/{path...}
         old * /old/*
         exact * /exact
         all * /*",
    );
    let captured = |route: usize, path: &str| {
        let pairs = table
            .captures(route, path.as_bytes())
            .map(|(name, value)| format!("{name}={}", String::from_utf8_lossy(value)));
        pairs.collect::<Vec<_>>().join(" ")
    };
    assert_eq!(captured(0, "/users/7/posts/a%20b"), "id=7 post=a%20b");
    assert_eq!(captured(0, "/users/7"), "");
    assert_eq!(captured(1, "/files/img/a/b"), "kind=img path=a/b");
    assert_eq!(captured(1, "/files/img"), "kind=img path=");
    assert_eq!(captured(2, "/old/a/b"), "*=a/b");
    assert_eq!(captured(2, "/old"), "*=");
    assert_eq!(captured(2, "/older"), "");
    assert_eq!(captured(3, "/exact"), "");
    assert_eq!(captured(4, "/x/y"), "*=x/y");
    assert_eq!(captured(99, "/x"), "");
}

/// What `template` makes of `path`, matched by `pattern`.
fn check_template(pattern: &str, template: &str, path: &str, expected: &str) {
    let rule = PathRule::parse(pattern).expect("a path");
    let template = Template::parse(template, &rule).expect("a template");
    let table = table(&format!("r * {pattern}"));
    let mut out = b"kept:".to_vec();
    template.expand(&table.captures(0, path.as_bytes()), &mut out);
    assert_eq!(String::from_utf8_lossy(&out), format!("kept:{expected}"));
}

#[test]
fn templates_take_captures() {
    check_template("/users/{id}", "/new/{id}?from={id}", "/users/7", "/new/7?from=7");
    check_template("/old/*", "/new/{*}", "/old/a/b", "/new/a/b");
    check_template("/old", "/new", "/old", "/new");
    check_template("/{host}/x", "https://example.com/{host}", "/a/x", "https://example.com/a");
}

#[test]
fn a_capture_cannot_leave_its_place_in_a_template_t43() {
    check_template("/old/*", "/{*}", "/old//evil.example", "/evil.example");
    check_template("/old/{x...}", "/{x}", "/old///evil.example", "/evil.example");
    check_template("/{a}", "/n/{a}", "/x\r\nSet-Cookie: a", "/n/x%0D%0ASet-Cookie:%20a");
    check_template("/{a}", "/n/{a}", "/\\evil?#\u{80}", "/n/%5Cevil%3F%23%C2%80");
}

#[test]
fn no_template_output_holds_a_byte_outside_the_value_set_t43() {
    let rule = PathRule::parse("/{a}").expect("a path");
    let template = Template::parse("/n/{a}", &rule).expect("a template");
    let table = table("r * /{a}");
    for byte in 0..=255_u8 {
        let mut out = Vec::new();
        template.expand(&table.captures(0, &[b'/', b'a', byte]), &mut out);
        assert!(out.iter().all(|b| matches!(b, 0x21..=0x7E)), "{byte:#x} gave {out:?}");
    }
}

#[test]
fn bad_templates_say_what_is_wrong() {
    let rule = PathRule::parse("/{a}").expect("a path");
    for (text, expected) in [
        ("/{b}", "the route's path has no `{b}`"),
        ("/{a", "braces come in pairs around a name, as in \"/new/{id}\""),
        ("/a}", "braces come in pairs around a name, as in \"/new/{id}\""),
        ("/a\n", "a control character cannot stand here"),
    ] {
        assert_eq!(Template::parse(text, &rule).expect_err(text).to_string(), expected);
    }
}
