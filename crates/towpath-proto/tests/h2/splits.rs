//! How bytes are cut on their way must not matter.

use towpath_proto::h2::{Config, Role};

use crate::script::{Cut, begun};

const SERVER: &[&str] = &[
    "get 1 /a?b=c | accept */*\nping 7\nsettings 4=1000 3=5 1=0",
    "post 1 | content-length 10\ndata 1 hello pad=3\ndata 1 world end pad=200\nget 3",
    "headers 1 prio pad=9 pieces=5 | :method POST | :scheme https | :authority h | :path / | a *300\ndata 1 end\nwu 1 1000",
    "post 1\ndata 1 x\nheaders 1 end pieces=3 | checksum 12345678\nrst 1 8\ngoaway 0 0",
    "post 1\ndata 1 x\ndata 1\ndata 1 pad=5\ndata 1 end pad=5",
    "raw 99 0 0 0011223344556677\npriority 1\nget 1\ndata 1 late",
    "post 1 | content-length 3\ndata 1 four\ndata 1 more\nget 3",
    "headers 1 end | A b\nget 3\nraw 1 5 5 80",
    "get 1\n! drain\nget 3\ndrained\npost 5\ndata 5 x end\nget 7",
    "post 1\n! reset 1 8\ndata 1 dropped end\npost 3\ndata 3 kept",
    "raw 0 8 1 05",
    "get 1 | expect more\nget 3",
    "bytes ~~~~~~~~~~~~~~~~~~~~~~",
];

const CLIENT: &[&str] = &[
    "! request\nheaders 1 | :status 103 | link x\nok 1 | content-length 5\ndata 1 hello end pad=1",
    "! request end\nok 1 pieces=4\ndata 1 hello\nheaders 1 end | sum 1",
    "! request end\nheaders 1 end | :status 2000\nwu 0 1000\ngoaway 1 2",
    "push 1 2",
];

#[test]
fn every_split_in_two_tells_the_same() {
    each(|role, script| {
        let whole = begun(role, Config::default(), script, Cut::Whole);
        for at in 0..=320 {
            assert_eq!(begun(role, Config::default(), script, Cut::At(at)), whole, "{script}\ncut at {at}");
        }
    });
}

#[test]
fn pieces_of_any_size_tell_the_same() {
    each(|role, script| {
        let whole = begun(role, Config::default(), script, Cut::Whole);
        for size in [1, 2, 3, 5, 7, 9, 10, 13, 16, 23] {
            assert_eq!(begun(role, Config::default(), script, Cut::Each(size)), whole, "{script}\nby {size}");
        }
    });
}

fn each(check: impl Fn(Role, &str)) {
    SERVER.iter().for_each(|script| check(Role::Server, script));
    CLIENT.iter().for_each(|script| check(Role::Client, script));
}
