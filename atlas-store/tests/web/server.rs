//! A web server of a directory, on a port of its own: GET and HEAD, ranges, ETags, and PUT with its conditions, as far as
//! S3 has them; and faults, as asked.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

/// What becomes of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It is answered with this status.
    Status(u16),
    /// It is done, and answered with status 500.
    LosesReply,
    /// It is never answered.
    Stalls,
    /// Of its answer's body, half is sent; then the connection is closed.
    IsCut,
}

#[derive(Debug, Default)]
struct Told {
    /// What becomes of the next requests, in order.
    faults: VecDeque<Option<Fault>>,
    /// What becomes of all of them.
    always: Option<Fault>,
    /// "GET /t/data.af 206 100", with the bytes of the body.
    log: Vec<String>,
}

/// Two requests must not compare and put at once.
static PUTTING: Mutex<()> = Mutex::new(());

/// Serves until the process ends.
#[derive(Debug, Clone)]
pub struct Server {
    address: String,
    root: PathBuf,
    has_etags: bool,
    takes_puts: bool,
    told: Arc<Mutex<Told>>,
}

impl Server {
    /// Of files that can be read.
    pub fn start(root: PathBuf, has_etags: bool) -> Self {
        Self::begin(root, has_etags, false)
    }

    /// Of buckets that can be written to.
    pub fn of_buckets(root: PathBuf) -> Self {
        Self::begin(root, true, true)
    }

    fn begin(root: PathBuf, has_etags: bool, takes_puts: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let server = Server { address, root, has_etags, takes_puts, told: Arc::default() };
        let serving = server.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let server = serving.clone();
                // A connection that ends is no concern of the others.
                std::thread::spawn(move || server.serve(stream.unwrap()));
            }
        });
        server
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// What becomes of the next requests.
    pub fn fail(&self, faults: &[Fault]) {
        self.fail_after(0, faults);
    }

    /// What becomes of the requests after so many.
    pub fn fail_after(&self, skipped: usize, faults: &[Fault]) {
        let faults = faults.iter().copied().map(Some);
        self.told.lock().unwrap().faults = std::iter::repeat_n(None, skipped).chain(faults).collect();
    }

    /// What becomes of all requests from now on.
    pub fn always(&self, fault: Option<Fault>) {
        self.told.lock().unwrap().always = fault;
    }

    /// The requests since the last time: method, path, status and bytes of the body.
    pub fn take_log(&self) -> Vec<String> {
        std::mem::take(&mut self.told.lock().unwrap().log)
    }

    /// Answers the requests of one connection.
    fn serve(&self, stream: TcpStream) -> std::io::Result<()> {
        stream.set_nodelay(true)?;
        let mut reader = BufReader::new(stream.try_clone()?);
        while let Some(request) = Request::read(&mut reader)? {
            let fault = {
                let told = &mut *self.told.lock().unwrap();
                told.faults.pop_front().unwrap_or(told.always)
            };
            let reply = match fault {
                Some(Fault::Status(status)) => Reply { status, headers: String::new(), body: b"as asked".to_vec() },
                fault => {
                    let reply = self.answer(&request);
                    match fault {
                        Some(Fault::LosesReply) => Reply { status: 500, ..reply },
                        _ => reply,
                    }
                }
            };
            let is_head = request.method == "HEAD";
            let sent = if is_head { 0 } else { reply.body.len() };
            let what = if fault == Some(Fault::Stalls) { "stalled".into() } else { format!("{} {sent}", reply.status) };
            self.told.lock().unwrap().log.push(format!("{} {} {what}", request.method, request.path));
            if fault == Some(Fault::Stalls) {
                // Until the client gives up.
                return std::io::copy(&mut reader, &mut std::io::sink()).map(drop);
            }
            let mut bytes = reply.head().into_bytes();
            if !is_head {
                bytes.extend(&reply.body);
            }
            if fault == Some(Fault::IsCut) {
                bytes.truncate(bytes.len() - sent.div_ceil(2));
                return (&stream).write_all(&bytes);
            }
            (&stream).write_all(&bytes)?;
        }
        Ok(())
    }

    fn answer(&self, request: &Request) -> Reply {
        match request.method.as_str() {
            "GET" | "HEAD" => self.get(request),
            "PUT" if self.takes_puts => self.put(request),
            _ => Reply { status: 405, headers: "Allow: GET, HEAD\r\n".into(), body: Vec::new() },
        }
    }

    /// If it is as expected.
    fn put(&self, request: &Request) -> Reply {
        let _putting = PUTTING.lock().unwrap();
        let path = self.root.join(request.path.trim_start_matches('/'));
        let old = std::fs::read(&path).ok().map(|content| e_tag(&content));
        let is_expected = match (request.header("if-match"), request.header("if-none-match")) {
            (Some(known), _) => old.as_deref() == Some(known),
            (_, Some(_)) => old.is_none(),
            _ => true,
        };
        if !is_expected {
            return Reply { status: 412, headers: String::new(), body: Vec::new() };
        }
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, &request.body).unwrap();
        Reply { status: 200, headers: format!("ETag: {}\r\n", e_tag(&request.body)), body: Vec::new() }
    }

    fn get(&self, request: &Request) -> Reply {
        let Ok(content) = std::fs::read(self.root.join(request.path.trim_start_matches('/'))) else {
            return Reply { status: 404, headers: String::new(), body: b"not found".to_vec() };
        };
        let mut headers = "Accept-Ranges: bytes\r\nLast-Modified: Sat, 01 Jan 2000 00:00:00 GMT\r\n".to_string();
        if self.has_etags {
            let e_tag = e_tag(&content);
            headers += &format!("ETag: {e_tag}\r\n");
            if request.header("if-none-match") == Some(&e_tag) {
                return Reply { status: 304, headers, body: Vec::new() };
            }
        }
        let Some(range) = request.header("range") else { return Reply { status: 200, headers, body: content } };
        let (first, last) = range.strip_prefix("bytes=").unwrap().split_once('-').unwrap();
        let len = content.len();
        let (start, end) = match (first, last) {
            ("", last) => (len.saturating_sub(last.parse().unwrap()), len),
            (first, "") => (first.parse().unwrap(), len),
            (first, last) => (first.parse().unwrap(), len.min(last.parse::<usize>().unwrap() + 1)),
        };
        if start >= end {
            return Reply { status: 416, headers: format!("Content-Range: bytes */{len}\r\n"), body: Vec::new() };
        }
        headers += &format!("Content-Range: bytes {start}-{}/{len}\r\n", end - 1);
        Reply { status: 206, headers, body: content[start..end].to_vec() }
    }
}

fn e_tag(content: &[u8]) -> String {
    format!("\"{:08x}-{}\"", crc32c::crc32c(content), content.len())
}

struct Request {
    method: String,
    /// Decoded.
    path: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Request {
    /// `None` where the client has hung up.
    fn read(reader: &mut impl BufRead) -> std::io::Result<Option<Self>> {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(None);
        }
        let mut words = line.split_whitespace();
        let (method, path) = (words.next().unwrap().to_string(), decoded(words.next().unwrap()));
        let mut headers = Vec::new();
        loop {
            let mut line = String::new();
            reader.read_line(&mut line)?;
            let Some((name, value)) = line.trim_end().split_once(':') else { break };
            headers.push((name.to_ascii_lowercase(), value.trim().to_string()));
        }
        let mut request = Request { method, path, headers, body: Vec::new() };
        let length = request.header("content-length").map_or(0, |length| length.parse().unwrap());
        reader.take(length).read_to_end(&mut request.body)?;
        Ok(Some(request))
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }
}

/// With the bytes that `%XX` stand for.
fn decoded(path: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = path.as_bytes();
    while let [byte, tail @ ..] = rest {
        rest = tail;
        if *byte == b'%' {
            let (digits, tail) = rest.split_at(2);
            bytes.push(u8::from_str_radix(std::str::from_utf8(digits).unwrap(), 16).unwrap());
            rest = tail;
        } else {
            bytes.push(*byte);
        }
    }
    String::from_utf8(bytes).unwrap()
}

struct Reply {
    status: u16,
    headers: String,
    body: Vec<u8>,
}

impl Reply {
    fn head(&self) -> String {
        // A 304 tells nothing of the body that it does not have.
        let length =
            if self.status == 304 { String::new() } else { format!("Content-Length: {}\r\n", self.body.len()) };
        format!("HTTP/1.1 {} Whatever\r\n{length}{}\r\n", self.status, self.headers)
    }
}
