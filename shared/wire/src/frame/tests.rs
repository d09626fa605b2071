use bytes::BytesMut;
use proptest::prelude::*;

use super::*;
use crate::fragment::Fragment;
use crate::header::{self, OpCode};

fn request(text: &str) -> Result<Request, FrameError> {
    Request::parse(&Bytes::copy_from_slice(text.as_bytes()))
}

fn response(text: &str) -> Result<Response, FrameError> {
    Response::parse(&Bytes::copy_from_slice(text.as_bytes()))
}

fn with_headers(headers: &str, rest: &str) -> Result<Request, FrameError> {
    request(&format!(
        "POST /mint HTTP/1.1\r\nHost: a\r\n{headers}\r\n{rest}"
    ))
}

#[test]
fn the_body_is_as_long_as_announced_or_as_arrived() {
    for (headers, rest, body) in [
        ("", "ignored", ""),
        ("Content-Length: 2\r\n", "{}", "{}"),
        ("Content-Length: 2\r\n", "{}   ", "{}"),
        ("Content-Length: 9\r\n", "{}", "{}"),
        ("Content-Length: 2\r\nContent-Length: 2\r\n", "{}", "{}"),
        ("Content-Length : 2\r\n", "{}", ""),
        (
            "Transfer-Encoding: chunked\r\n",
            "2\r\n{}\r\n0\r\n\r\n",
            "{}",
        ),
        (
            "Transfer-Encoding: Chunked\r\n",
            "1;x=y\r\n{\r\n1 \r\n}\r\n",
            "{}",
        ),
        ("Transfer-Encoding: chunked\r\n", "0\r\n\r\n", ""),
        ("Transfer-Encoding: chunked\r\n", "5\r\n{}", "{}"),
        ("Transfer-Encoding: chunked\r\n", "2\r\n{}\r\n", "{}"),
        ("Transfer-Encoding: chunked\r\n", "2\r\n{}\r", "{}"),
        ("Transfer-Encoding: chunked\r\n", "", ""),
    ] {
        assert_eq!(
            with_headers(headers, rest).unwrap().body,
            body,
            "{headers} {rest}"
        );
    }
}

#[test]
fn a_message_that_two_readers_might_read_differently_is_refused() {
    for (headers, error) in [
        (
            "Content-Length: 2\r\nContent-Length: 3\r\n",
            FrameError::ContentLength,
        ),
        ("Content-Length: -2\r\n", FrameError::ContentLength),
        ("Content-Length: +2\r\n", FrameError::ContentLength),
        ("Content-Length: \r\n", FrameError::ContentLength),
        ("Content-Length: 2, 2\r\n", FrameError::ContentLength),
        (
            "Content-Length: 99999999999999999999\r\n",
            FrameError::ContentLength,
        ),
        (
            "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n",
            FrameError::TransferEncoding,
        ),
        ("Transfer-Encoding: gzip\r\n", FrameError::TransferEncoding),
        (
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
            FrameError::TransferEncoding,
        ),
        (
            "Transfer-Encoding: gzip, chunked\r\n",
            FrameError::TransferEncoding,
        ),
        ("Host: b\r\n", FrameError::Host),
        ("no colon\r\n", FrameError::Header),
        (": no name\r\n", FrameError::Header),
        ("N\u{e4}me: x\r\n", FrameError::Header),
        ("Name: a\0b\r\n", FrameError::Header),
        ("Name: a\rb\r\n", FrameError::Header),
        ("Tab\t: x\r\n", FrameError::Header),
    ] {
        assert_eq!(with_headers(headers, ""), Err(error), "{headers:?}");
    }
    let old = request("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n");
    assert_eq!(old, Err(FrameError::TransferEncoding));
    for chunks in [
        "zz\r\n",
        "\r\n",
        "2\n{}\r\n",
        "2\r\n{}xx0\r\n",
        "11111111111111111\r\n",
        "1 ;x\r\na\r\n",
    ] {
        let refused = with_headers("Transfer-Encoding: chunked\r\n", chunks);
        assert_eq!(refused, Err(FrameError::Chunk), "{chunks:?}");
    }
}

#[test]
fn a_message_of_too_many_header_fields_is_refused() {
    let many = |count| {
        let headers = "A:\r\n".repeat(count);
        request(&format!("POST / HTTP/1.1\r\n{headers}\r\n"))
    };
    assert_eq!(many(MOST_FIELDS).unwrap().headers.len(), MOST_FIELDS);
    assert_eq!(many(MOST_FIELDS + 1), Err(FrameError::Fields));
}

#[test]
fn a_malformed_first_line_is_refused() {
    for (line, error) in [
        ("garbage", FrameError::StartLine),
        ("", FrameError::StartLine),
        ("POST  /mint HTTP/1.1", FrameError::Version),
        ("POST /a b HTTP/1.1", FrameError::Version),
        ("POST /mint HTTP/11", FrameError::Version),
        ("POST /mint http/1.1", FrameError::Version),
        ("FOO /mint HTTP/1.1", FrameError::Method),
        ("post /mint HTTP/1.1", FrameError::Method),
        ("POST mint HTTP/1.1", FrameError::Target),
        ("POST /%zz HTTP/1.1", FrameError::Target),
        ("POST mailto:x HTTP/1.1", FrameError::Target),
        ("POST https://a:b/mint HTTP/1.1", FrameError::Target),
        ("POST https://a@b/mint HTTP/1.1", FrameError::Target),
        ("POST /\u{7f} HTTP/1.1", FrameError::Target),
    ] {
        assert_eq!(
            request(&format!("{line}\r\nHost: a\r\n\r\n")),
            Err(error),
            "{line:?}"
        );
    }
    assert_eq!(request("garbage"), Err(FrameError::Unterminated));
    assert_eq!(
        request("\r\nPOST /mint HTTP/1.1\r\n\r\n"),
        Err(FrameError::StartLine)
    );
    assert_eq!(
        request("POST /mint HTTP/1.1\r\nHost: a\r\n"),
        Err(FrameError::Unterminated)
    );
    assert_eq!(
        request("POST /mint HTTP/1.1\r\n Host: a\r\n\r\n"),
        Err(FrameError::Header)
    );
}

#[test]
fn odd_first_lines_that_go_reads_are_read() {
    for (line, path, query) in [
        (
            "POST https://access.token.core:666/mint?a=1?b HTTP/1.1",
            "/mint",
            "a=1?b",
        ),
        ("POST https://elsewhere HTTP/1.2", "", ""),
        ("POST /mint?claims.q=1 HTTP/2.0", "/mint", "claims.q=1"),
        ("POST /a%20b? HTTP/1.0", "/a b", ""),
        ("POST /x?u=https://y/z HTTP/1.1", "/x", "u=https://y/z"),
        ("OPTIONS * HTTP/1.1", "*", ""),
        (
            "CONNECT access.token.core:666 HTTP/1.1",
            "access.token.core:666",
            "",
        ),
    ] {
        let read = request(&format!("{line}\nHost: bad host\n\n")).unwrap();
        assert_eq!((&*read.path(), read.query()), (path, query), "{line}");
        assert_eq!(read.host(), Some("bad host"));
    }
}

#[test]
fn folded_and_repeated_headers_are_read_as_go_reads_them() {
    let headers =
        "microbus-msg-id:  a \r\n  b\r\n\t \r\n\tc\t\r\nMICROBUS-MSG-ID: second\r\nblank : x\r\n";
    let read = with_headers(headers, "").unwrap();
    assert_eq!(read.headers.get(header::MESSAGE_ID), Some("a b  c"));
    assert_eq!(read.headers.get("Blank"), None);
    let empty_then_folded = with_headers("A:\r\n b\r\n", "").unwrap();
    assert_eq!(empty_then_folded.headers.get("A"), Some("b"));
}

#[test]
fn a_response_without_a_length_extends_to_the_end() {
    assert_eq!(
        response("HTTP/1.1 200 OK\r\n\r\nrest").unwrap().body,
        "rest"
    );
    assert_eq!(
        response("HTTP/1.1 204 x\r\nContent-Length: 4\r\n\r\nrest")
            .unwrap()
            .body,
        ""
    );
    assert_eq!(
        response("HTTP/1.0 200\r\nContent-Length: 2\r\n\r\nrest")
            .unwrap()
            .body,
        "re"
    );
    for line in [
        "HTTP/1.1",
        "HTTP/1.1 20",
        "HTTP/1.1 2000 OK",
        "HTTP/1.1 +20 OK",
        "200 OK",
        "POST / HTTP/1.1",
    ] {
        assert!(response(&format!("{line}\r\n\r\n")).is_err(), "{line}");
    }
}

#[test]
fn a_body_shares_the_payload() {
    let payload = Bytes::from_static(b"POST / HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}");
    let body = Request::parse(&payload).unwrap().body;
    assert_eq!(body.as_ptr(), payload.slice(payload.len() - 2..).as_ptr());
}

#[test]
fn an_ack_is_written_as_the_peer_writes_it() {
    let mut sender = Sender {
        host: "access.token.core",
        id: "id-gsw2gftqlx",
        version: 4,
        locality: None,
        queue: Some("access.token.core"),
    };
    let mut ack = BytesMut::new();
    Letterhead::new(&sender).ack("D05aNIKi", Fragment::WHOLE, &mut ack);
    let expected = "HTTP/1.1 202 Accepted\r\nConnection: close\r\nMicrobus-From-Host: access.token.core\r\n\
        Microbus-From-Id: id-gsw2gftqlx\r\nMicrobus-Msg-Id: D05aNIKi\r\nMicrobus-Op-Code: Ack\r\n\
        Microbus-Queue: access.token.core\r\nContent-Length: 0\r\n\r\n";
    assert_eq!(ack, expected);
    sender.queue = None;
    sender.locality = Some("us-west-1");
    ack.clear();
    Letterhead::new(&sender).ack("D05aNIKi", Fragment::parse("2/3"), &mut ack);
    let expected = "HTTP/1.1 100 Continue\r\nConnection: close\r\nMicrobus-From-Host: access.token.core\r\n\
        Microbus-From-Id: id-gsw2gftqlx\r\nMicrobus-Locality: us-west-1\r\nMicrobus-Msg-Id: D05aNIKi\r\n\
        Microbus-Op-Code: Ack\r\n\r\n";
    assert_eq!(ack, expected);
}

#[test]
fn headers_are_read_in_any_order_in_any_case_and_more_than_once() {
    let read = request(
        "POST https://h:1/p HTTP/1.1\r\nMicrobus-Time-Budget: 1s\r\nMicrobus-Msg-Id: one\r\nmicrobus-from-id: id\r\n\
         Microbus-Msg-Id: two\r\nMicrobus-Msg-Ids: x\r\nMicrobus-Msg: y\r\nContent-Length: 2\r\nHost: h:1\r\n\r\n{}",
    )
    .unwrap();
    let fields: Vec<_> = read.headers.iter().collect();
    let expected: [(&str, &[u8]); 6] = [
        ("Microbus-Time-Budget", b"1s"),
        ("Microbus-Msg-Id", b"one"),
        ("Microbus-From-Id", b"id"),
        ("Microbus-Msg-Id", b"two"),
        ("Microbus-Msg-Ids", b"x"),
        ("Microbus-Msg", b"y"),
    ];
    assert_eq!(fields, expected);
    assert_eq!(read.headers.get(header::MESSAGE_ID), Some("one"));
    assert_eq!((read.host(), &read.body[..]), (Some("h:1"), &b"{}"[..]));
}

#[test]
fn a_value_that_is_no_text_hides_no_other() {
    let head = "POST https://h:1/p HTTP/1.1\r\nA: \u{e9}\r\nMicrobus-Msg-Id: x\r\n\r\n";
    assert_eq!(request(head).unwrap().headers.get("A"), Some("\u{e9}"));
    // The first of the two bytes of that letter alone.
    let bytes: Vec<u8> = head.bytes().filter(|byte| *byte != 0xa9).collect();
    let read = Request::parse(&bytes.into()).unwrap();
    assert_eq!(read.headers.get("A"), None);
    assert_eq!(read.headers.get(header::MESSAGE_ID), Some("x"));
}

#[test]
fn a_hostile_message_id_cannot_break_out_of_its_header() {
    let head = ResponseHead {
        status: 200,
        op_code: OpCode::Res,
        content_type: None,
        message_id: "x\r\nMicrobus-Op-Code: Err",
        fragment: Fragment::WHOLE,
    };
    let letterhead = Letterhead::new(&Sender {
        host: "a",
        id: "b",
        version: 0,
        locality: None,
        queue: None,
    });
    let mut written = BytesMut::new();
    letterhead.response(&head, b"", &mut written);
    let read = Response::parse(&written.freeze()).unwrap();
    assert_eq!(read.op_code(), Some(OpCode::Res));
}

#[test]
fn a_status_without_a_text_is_written_as_go_writes_it() {
    let written = Response::new(599, Bytes::new()).encode();
    assert_eq!(
        written,
        b"HTTP/1.1 599 status code 599\r\nContent-Length: 0\r\n\r\n"
    );
}

proptest! {
    #[test]
    fn a_request_survives_the_round_trip(path in "(/[a-z%]{0,5}){0,3}", names in prop::collection::vec("[A-Za-z-]{1,12}", 0..8),
        value in "[ -~\t]{0,20}", body in prop::collection::vec(any::<u8>(), 0..200)) {
        let path = path.replace('%', "%25");
        let address = Address::parse(&format!("https://h:1{path}")).unwrap();
        let mut request = Request::to(&address, Method::Post, body.into());
        for name in &names {
            request.headers.add(name, &value);
        }
        let read = Request::parse(&Bytes::from(request.encode())).unwrap();
        prop_assert_eq!(read.encode(), request.encode());
        prop_assert_eq!(&read.body, &request.body);
        prop_assert_eq!(read.headers.sorted(), request.headers.sorted());
    }

    #[test]
    fn the_fast_writer_and_the_plain_writer_agree(body in prop::collection::vec(any::<u8>(), 0..50), status in 200u16..600,
        version in 0u32..3, index in 0u32..4, queue in prop::option::of("[a-z.]{1,9}"), locality in prop::option::of("[a-z-]{1,9}")) {
        let letterhead = Letterhead::new(&Sender {
            host: "a.b", id: "id-gsw2gftqlx", version, locality: locality.as_deref(), queue: queue.as_deref(),
        });
        let head = ResponseHead {
            status, op_code: OpCode::Res, content_type: Some("application/json"), message_id: "D05aNIKi",
            fragment: Fragment::parse(&format!("{index}/3")),
        };
        let mut written = BytesMut::from("before");
        letterhead.response(&head, &body, &mut written);
        prop_assert_eq!(&written.split_to(6)[..], b"before");
        let written = written.freeze();
        prop_assert_eq!(Response::parse(&written).unwrap().encode(), written);
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        crate::fuzz_entry::fuzz_request(&bytes);
        crate::fuzz_entry::fuzz_response(&bytes);
    }
}
