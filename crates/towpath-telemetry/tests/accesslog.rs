//! Access-log lines: one request, one line, whatever its bytes (T59).

use towpath_telemetry::accesslog::{Field, Format, Record};
use towpath_telemetry::time::push_rfc3339;

/// An ordinary request.
const RECORD: Record<'static> = Record {
    time_unix_ms: 1_709_251_199_123,
    remote_addr: Some(b"192.0.2.7:40000"),
    method: Some(b"GET"),
    host: Some(b"api.example.com"),
    path: Some(b"/users/7"),
    query: Some(b"v=1"),
    version: Some(b"HTTP/1.1"),
    status: 200,
    bytes_in: 123,
    bytes_out: 4567,
    duration_us: 890,
    upstream: Some(b"users"),
    endpoint: Some(b"127.0.0.1:9001"),
    route: Some(b"users"),
    listener: Some(b"web"),
    reason: None,
    request_id: Some(b"r1"),
    referer: None,
    user_agent: Some(b"curl/8"),
    tls: None,
    tls_cipher: None,
    sni: None,
    client_identity: None,
};

fn line(format: &Format, record: &Record<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    format.write(record, &mut out);
    out
}

fn check(format: &str, record: &Record<'_>, expected: &str) {
    let format = Format::parse(format).expect("a format");
    assert_eq!(String::from_utf8_lossy(&line(&format, record)), expected);
}

fn check_faults(format: &str, expected: &[&str]) {
    let faults = Format::parse(format).expect_err("faults");
    assert_eq!(faults.iter().map(ToString::to_string).collect::<Vec<_>>(), expected, "{format}");
}

#[test]
fn json_holds_every_field_that_is_there() {
    check(
        "json",
        &RECORD,
        "{\"time\":\"2024-02-29T23:59:59.123Z\",\"remote_addr\":\"192.0.2.7:40000\",\"method\":\"GET\",\
         \"host\":\"api.example.com\",\"path\":\"/users/7\",\"query\":\"v=1\",\"version\":\"HTTP/1.1\",\
         \"status\":200,\"bytes_in\":123,\"bytes_out\":4567,\"duration_us\":890,\"upstream\":\"users\",\
         \"endpoint\":\"127.0.0.1:9001\",\"route\":\"users\",\"listener\":\"web\",\"request_id\":\"r1\",\
         \"user_agent\":\"curl/8\"}\n",
    );
}

#[test]
fn template_puts_fields_among_text() {
    check(
        "$remote_addr [$time] \"$method $host$path?$query $version\" $status ${bytes_out}B $$5 $reason",
        &RECORD,
        "192.0.2.7:40000 [2024-02-29T23:59:59.123Z] \"GET api.example.com/users/7?v=1 HTTP/1.1\" 200 4567B $5 -\n",
    );
    check("no variable, näher", &RECORD, "no variable, näher\n");
    check("", &RECORD, "\n");
}

#[test]
fn a_request_without_anything_still_has_a_line_t44() {
    check("$host $path $status $user_agent", &Record::default(), "- - 0 -\n");
    check(
        "json",
        &Record::default(),
        "{\"time\":\"1970-01-01T00:00:00.000Z\",\"status\":0,\"bytes_in\":0,\"bytes_out\":0,\"duration_us\":0}\n",
    );
}

#[test]
fn every_fault_of_a_template_is_reported() {
    check_faults("$metod $status", &["there is no variable `$metod`; did you mean `$method`?"]);
    check_faults("$remote_adr", &["there is no variable `$remote_adr`; did you mean `$remote_addr`?"]);
    check_faults("$zzzzzzzz", &["there is no variable `$zzzzzzzz`"]);
    check_faults("a $ b", &["`$` begins a variable such as $status; write $$ for one `$`"]);
    check_faults("$", &["`$` begins a variable such as $status; write $$ for one `$`"]);
    check_faults("${status", &["`${` has no `}`"]);
    check_faults("a\nb", &["a control character cannot stand in a log format"]);
    check_faults(
        "${} ${é} $statu",
        &[
            "`$` begins a variable such as $status; write $$ for one `$`",
            "there is no variable `$é`",
            "there is no variable `$statu`; did you mean `$status`?",
        ],
    );
}

#[test]
fn every_field_is_reachable_by_its_name() {
    for field in Field::ALL {
        assert_eq!(Field::parse(field.name()), Some(field));
        assert!(Format::parse(&format!("${}", field.name())).is_ok());
    }
}

/// A record with `bytes` wherever bytes can be.
fn filled(bytes: &[u8]) -> Record<'_> {
    let some = Some(bytes);
    Record {
        remote_addr: some,
        method: some,
        host: some,
        path: some,
        query: some,
        version: some,
        upstream: some,
        endpoint: some,
        route: some,
        listener: some,
        reason: some,
        request_id: some,
        referer: some,
        user_agent: some,
        tls: some,
        tls_cipher: some,
        sni: some,
        client_identity: some,
        ..RECORD
    }
}

/// One line, one JSON object, every text in it what `expected` says; and one printable line from a template.
fn check_hostile(bytes: &[u8], expected: Option<&str>) {
    let record = filled(bytes);
    let json = line(&Format::JSON, &record);
    assert_eq!(json.iter().filter(|&&b| b < 0x20).count(), 1, "{bytes:?}");
    let parsed: serde_json::Value = serde_json::from_slice(&json).expect("one JSON value per line");
    let object = parsed.as_object().expect("an object");
    assert_eq!(object.len(), Field::ALL.len());
    for key in ["host", "path", "user_agent", "tls"] {
        let text = object[key].as_str().expect("a string");
        assert!(expected.is_none_or(|expected| text == expected), "{bytes:?} became {text:?}");
    }
    let template = Format::parse("\"$host\" \"$path\" \"$user_agent\"").expect("a format");
    let text = line(&template, &record);
    let (end, inside) = text.split_last().expect("a line end");
    assert_eq!(*end, b'\n');
    assert!(inside.iter().all(|b| matches!(b, b' '..=b'~')), "{text:?}");
    assert_eq!(inside.iter().filter(|&&b| b == b'"').count(), 6, "{text:?}");
}

#[test]
fn every_single_byte_gives_one_line_t59() {
    for byte in 0..=255_u8 {
        let expected = match byte {
            0..0x80 => char::from(byte).to_string(),
            _ => format!("\\x{byte:02x}"),
        };
        check_hostile(&[byte], Some(&expected));
        check_hostile(&[b'a', byte, b'"'], Some(&format!("a{expected}\"")));
    }
}

#[test]
fn random_bytes_give_one_line_t59() {
    let mut state = 88_172_645_463_325_252_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    for _ in 0..3_000 {
        let bytes: Vec<u8> = (0..next() % 40).map(|_| (next() >> 24) as u8).collect();
        check_hostile(&bytes, None);
    }
}

#[test]
fn injections_stay_inside_their_field_t59() {
    check_hostile(b"x\",\"status\":999,\"y\":\"", Some("x\",\"status\":999,\"y\":\""));
    check_hostile(b"a\r\n{\"time\":\"now\"}\n", Some("a\r\n{\"time\":\"now\"}\n"));
    check_hostile(
        "\u{1b}[2J \u{85}\u{2028}\u{2029} ü 任务".as_bytes(),
        Some("\u{1b}[2J \u{85}\u{2028}\u{2029} ü 任务"),
    );
    check_hostile(b"cut \xe4\xbb", Some("cut \\xe4\\xbb"));
    let json = line(&Format::JSON, &filled("\u{9b}31m\u{2028}\u{7f}".as_bytes()));
    assert!(String::from_utf8_lossy(&json).contains("\"host\":\"\\u009b31m\\u2028\\u007f\""));
}

#[test]
fn writing_reuses_the_buffer() {
    let mut out = Vec::with_capacity(4096);
    let room = out.capacity();
    for _ in 0..5 {
        out.clear();
        Format::JSON.write(&filled(b"\xff\"\n"), &mut out);
    }
    assert_eq!(out.capacity(), room);
}

#[test]
fn dates_are_right_over_leap_years_and_centuries() {
    for (unix_ms, expected) in [
        (0, "1970-01-01T00:00:00.000Z"),
        (951_782_399_999, "2000-02-28T23:59:59.999Z"),
        (951_782_400_000, "2000-02-29T00:00:00.000Z"),
        (951_868_800_000, "2000-03-01T00:00:00.000Z"),
        (1_000_000_000_007, "2001-09-09T01:46:40.007Z"),
        (1_709_164_800_000, "2024-02-29T00:00:00.000Z"),
        (1_735_689_599_999, "2024-12-31T23:59:59.999Z"),
        (1_740_787_200_000, "2025-03-01T00:00:00.000Z"),
        (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
        (4_107_542_399_999, "2100-02-28T23:59:59.999Z"),
        (253_402_300_799_999, "9999-12-31T23:59:59.999Z"),
        (u64::MAX, "9999-12-31T23:59:59.999Z"),
    ] {
        let mut out = Vec::new();
        push_rfc3339(&mut out, unix_ms);
        assert_eq!(String::from_utf8_lossy(&out), expected);
    }
}

#[test]
fn every_day_of_eight_centuries_follows_the_one_before() {
    let leap = |year: u64| year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let (mut year, mut month, mut day) = (1970, 1, 1);
    for unix_day in 0..800 * 365_u64 {
        let mut out = Vec::new();
        push_rfc3339(&mut out, unix_day * 86_400_000 + 1);
        assert_eq!(String::from_utf8_lossy(&out), format!("{year:04}-{month:02}-{day:02}T00:00:00.001Z"));
        let length = match month {
            2 => 28 + u64::from(leap(year)),
            4 | 6 | 9 | 11 => 30,
            _ => 31,
        };
        (year, month, day) = match (day == length, month == 12) {
            (false, _) => (year, month, day + 1),
            (true, false) => (year, month + 1, 1),
            (true, true) => (year + 1, 1, 1),
        };
    }
}
