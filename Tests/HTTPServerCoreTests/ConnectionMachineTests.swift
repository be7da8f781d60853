// A connection's reactions to events, without a connection.

import HTTPTypes
import Testing

@testable import HTTPServerCore

@Suite struct ConnectionMachineTests {
    typealias Machine = ConnectionMachine
    typealias Step = (Machine.Event, Machine.Action)

    struct Row: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let isHTTP2: Bool
        let steps: [Step]

        init(_ name: String, isHTTP2: Bool = false, _ steps: [Step]) {
            testDescription = name
            self.isHTTP2 = isHTTP2
            self.steps = steps
        }
    }

    static let get = head(.get)
    static let lastGet = head(.get, [.connection: "close"])
    static let post = head(.post, [.contentLength: "1000000"])
    static let lastPost = head(.post, [.contentLength: "1000000", .connection: "close"])
    static let chunked = head(.post, [.transferEncoding: "chunked"])
    static let waiting = head(.post, [.contentLength: "1000", .expect: "100-continue"])
    static let waitingForNothing = head(.get, [.expect: "100-continue"])
    static let upgrade = head(.get, [.connection: "Upgrade, HTTP2-Settings", .upgrade: "h2c"])
    static let namedUpgrade = head(.get, [.upgrade: "h2c"])
    static let connect = head(.connect)
    static let malformed = Refusal.malformed("it is none")
    static let most = Machine.mostDiscardedBytes

    private static func head(_ method: HTTPRequest.Method, _ fields: HTTPFields = [:]) -> HTTPRequest {
        HTTPRequest(method: method, scheme: nil, authority: nil, path: "/", headerFields: fields)
    }

    static let whole = [
        Row(
            "two requests, one after the other",
            [
                (.opened, .awaitRequest), (.head(get), .nothing), (.end, .begin(get, isComplete: true)),
                (.answered(rest: 0), .send(keepsAlive: true)), (.sent(succeeded: true), .finish(.keepAlive)),
                (.head(get), .nothing), (.end, .begin(get, isComplete: true)),
            ]),
        Row(
            "the client wants no further request",
            [
                (.opened, .awaitRequest), (.head(lastGet), .nothing), (.end, .begin(lastGet, isComplete: true)),
                (.answered(rest: 0), .send(keepsAlive: false)), (.sent(succeeded: true), .finish(.close)),
                (.head(get), .nothing), (.end, .nothing), (.closed, .nothing),
            ]),
        Row(
            "another protocol is declined, and what follows is not read",
            [
                (.opened, .awaitRequest), (.head(upgrade), .nothing), (.end, .begin(upgrade, isComplete: true)),
                (.answered(rest: 0), .send(keepsAlive: false)), (.sent(succeeded: true), .finish(.close)),
            ]),
        Row(
            "a tunnel is declined, and what follows is not read",
            [
                (.opened, .awaitRequest), (.head(connect), .nothing), (.end, .begin(connect, isComplete: true)),
                (.answered(rest: 0), .send(keepsAlive: false)), (.sent(succeeded: true), .finish(.close)),
            ]),
        Row(
            "another protocol that is only named changes nothing",
            [
                (.opened, .awaitRequest), (.head(namedUpgrade), .nothing),
                (.end, .begin(namedUpgrade, isComplete: true)), (.answered(rest: 0), .send(keepsAlive: true)),
            ]),
        Row(
            "a stream of HTTP/2 closes itself", isHTTP2: true,
            [
                (.opened, .awaitRequest), (.head(lastGet), .awaitEndOfHead), (.end, .begin(lastGet, isComplete: true)),
                (.answered(rest: 0), .send(keepsAlive: false)), (.sent(succeeded: true), .finish(.closed)),
            ]),
        Row(
            "a body, asked for and taken",
            [
                (.opened, .awaitRequest), (.head(post), .begin(post, isComplete: false)),
                (.bodyWanted, .askForBody(sendsContinue: false)), (.body(byteCount: 1_000_000), .takeIn),
                (.end, .endBody),
                (.bodyWanted, .nothing), (.answered(rest: 0), .send(keepsAlive: true)),
                (.sent(succeeded: true), .finish(.keepAlive)),
            ]),
        Row(
            "a body that no header announced",
            [
                (.opened, .awaitRequest), (.head(get), .nothing), (.body(byteCount: 1), .beginAndTakeIn(get)),
                (.body(byteCount: 1), .takeIn), (.end, .endBody),
            ]),
        Row(
            "a client that waits to be asked is asked once",
            [
                (.opened, .awaitRequest), (.head(waiting), .begin(waiting, isComplete: false)),
                (.bodyWanted, .askForBody(sendsContinue: true)), (.bodyWanted, .askForBody(sendsContinue: false)),
                (.body(byteCount: 1000), .takeIn), (.end, .endBody), (.answered(rest: 0), .send(keepsAlive: true)),
            ]),
        Row(
            "the first bytes of a head",
            [(.opened, .awaitRequest), (.bytesBegan, .awaitEndOfHead), (.head(get), .nothing), (.bytesBegan, .nothing)]),
    ]

    static let early = [
        Row(
            "little of the body is left: it is thrown away, and the next request follows",
            [
                (.opened, .awaitRequest), (.head(post), .begin(post, isComplete: false)),
                (.answered(rest: Machine.littleByteCount), .send(keepsAlive: true)),
                (.sent(succeeded: true), .finish(.discard)), (.body(byteCount: 60_000), .nothing),
                (.end, .awaitRequest),
            ]),
        Row(
            "much of the body is left: the connection ends",
            [
                (.opened, .awaitRequest), (.head(post), .begin(post, isComplete: false)),
                (.answered(rest: Machine.littleByteCount + 1), .send(keepsAlive: false)),
                (.sent(succeeded: true), .finish(.linger)), (.body(byteCount: 100_000), .nothing), (.end, .close),
            ]),
        Row(
            "of a body without a length anything may be left",
            [
                (.opened, .awaitRequest), (.head(chunked), .begin(chunked, isComplete: false)),
                (.answered(rest: nil), .send(keepsAlive: false)), (.sent(succeeded: true), .finish(.linger)),
            ]),
        Row(
            "a client that was not asked may send its body or not",
            [
                (.opened, .awaitRequest), (.head(waiting), .begin(waiting, isComplete: false)),
                (.answered(rest: 1000), .send(keepsAlive: false)), (.sent(succeeded: true), .finish(.linger)),
            ]),
        Row(
            "one that sends it unasked does not wait",
            [
                (.opened, .awaitRequest), (.head(waiting), .begin(waiting, isComplete: false)),
                (.body(byteCount: 1000), .takeIn), (.answered(rest: 0), .send(keepsAlive: true)),
                (.sent(succeeded: true), .finish(.discard)), (.end, .awaitRequest),
            ]),
        Row(
            "one without a body has nothing to be asked for",
            [
                (.opened, .awaitRequest), (.head(waitingForNothing), .nothing),
                (.end, .begin(waitingForNothing, isComplete: true)), (.answered(rest: 0), .send(keepsAlive: true)),
            ]),
        Row(
            "on a stream of HTTP/2 it may have one that is not announced", isHTTP2: true,
            [
                (.opened, .awaitRequest), (.head(waitingForNothing), .begin(waitingForNothing, isComplete: false)),
                (.bodyWanted, .askForBody(sendsContinue: true)),
            ]),
        Row(
            "a stream of HTTP/2 is reset", isHTTP2: true,
            [
                (.opened, .awaitRequest), (.head(post), .begin(post, isComplete: false)),
                (.answered(rest: 10), .send(keepsAlive: false)), (.sent(succeeded: true), .finish(.reset)),
            ]),
        Row(
            "the body ends while its answer is sent",
            [
                (.opened, .awaitRequest), (.head(post), .begin(post, isComplete: false)),
                (.answered(rest: 10), .send(keepsAlive: true)), (.body(byteCount: 10), .takeIn), (.end, .endBody),
                (.sent(succeeded: true), .finish(.keepAlive)),
            ]),
        Row(
            "what is thrown away has a bound",
            [
                (.opened, .awaitRequest), (.head(chunked), .begin(chunked, isComplete: false)),
                (.answered(rest: nil), .send(keepsAlive: false)), (.sent(succeeded: true), .finish(.linger)),
                (.body(byteCount: most - 1), .nothing), (.body(byteCount: 1), .close), (.body(byteCount: 1), .nothing),
            ]),
    ]

    static let broken = [
        Row(
            "bytes that are no request are refused, and what follows them is thrown away",
            [
                (.opened, .awaitRequest), (.failed(malformed), .refuse(malformed)), (.failed(malformed), .nothing),
                (.body(byteCount: 10), .nothing), (.inputClosed, .close),
            ]),
        Row(
            "a connection that breaks between requests is closed",
            [(.opened, .awaitRequest), (.failed(nil), .close), (.closed, .nothing), (.failed(nil), .close)]),
        Row(
            "a connection that breaks within a body",
            [
                (.opened, .awaitRequest), (.head(post), .begin(post, isComplete: false)), (.failed(nil), .failBody),
                (.answered(rest: 10), .send(keepsAlive: false)), (.sent(succeeded: true), .finish(.linger)),
            ]),
        Row(
            "a client that ends its side within a body",
            [
                (.opened, .awaitRequest), (.head(post), .begin(post, isComplete: false)), (.inputClosed, .failBody),
                (.answered(rest: 10), .send(keepsAlive: false)), (.sent(succeeded: true), .finish(.linger)),
            ]),
        Row(
            "a client that ends its side after a request gets its answer",
            [
                (.opened, .awaitRequest), (.head(get), .nothing), (.end, .begin(get, isComplete: true)),
                (.inputClosed, .nothing), (.answered(rest: 0), .send(keepsAlive: false)),
                (.sent(succeeded: true), .finish(.close)),
            ]),
        Row(
            "a client that ends its side within a head",
            [(.opened, .awaitRequest), (.head(get), .nothing), (.inputClosed, .close)]),
        Row(
            "a connection that goes within a body",
            [
                (.opened, .awaitRequest), (.head(post), .begin(post, isComplete: false)), (.closed, .failBody),
                (.bodyWanted, .nothing), (.answered(rest: 10), .abandon),
            ]),
        Row(
            "a connection that goes while its answer is made",
            [
                (.opened, .awaitRequest), (.head(get), .nothing), (.end, .begin(get, isComplete: true)),
                (.closed, .nothing),
                (.answered(rest: 0), .abandon),
            ]),
        Row(
            "a connection that goes while its answer is sent",
            [
                (.opened, .awaitRequest), (.head(get), .nothing), (.end, .begin(get, isComplete: true)),
                (.answered(rest: 0), .send(keepsAlive: true)), (.closed, .nothing), (.sent(succeeded: false), .abandon),
            ]),
        Row(
            "an answer of which not all can be sent",
            [
                (.opened, .awaitRequest), (.head(get), .nothing), (.end, .begin(get, isComplete: true)),
                (.answered(rest: 0), .send(keepsAlive: true)), (.sent(succeeded: false), .cut), (.closed, .nothing),
            ]),
        Row(
            "a server that stops closes a connection between requests",
            [(.opened, .awaitRequest), (.stopping, .close), (.head(get), .nothing), (.stopping, .nothing)]),
        Row(
            "a server that stops ends a connection with the answer that it is making",
            [
                (.opened, .awaitRequest), (.head(get), .nothing), (.end, .begin(get, isComplete: true)),
                (.stopping, .nothing), (.answered(rest: 0), .send(keepsAlive: false)),
                (.sent(succeeded: true), .finish(.close)),
            ]),
        Row(
            "a server that stops throws away what it would have thrown away, and ends the connection",
            [
                (.opened, .awaitRequest), (.head(post), .begin(post, isComplete: false)),
                (.answered(rest: 10), .send(keepsAlive: true)), (.sent(succeeded: true), .finish(.discard)),
                (.stopping, .nothing), (.body(byteCount: 10), .nothing), (.end, .close),
            ]),
        Row(
            "one answer for each request",
            [
                (.opened, .awaitRequest), (.answered(rest: 0), .abandon), (.head(get), .nothing),
                (.end, .begin(get, isComplete: true)), (.answered(rest: 0), .send(keepsAlive: true)),
                (.answered(rest: 0), .abandon),
            ]),
    ]

    @Test(arguments: whole + early + broken)
    func answersEachEventWithAnAction(_ row: Row) {
        var machine = Machine(isHTTP2: row.isHTTP2)
        for (index, (event, action)) in row.steps.enumerated() {
            #expect(machine.handle(event) == action, "step \(index)")
        }
    }

    @Test func readsAsItIsAsked() {
        var machine = Machine(isHTTP2: false)
        let wants = { (machine: Machine) in
            [(true, true), (true, false), (false, true), (false, false)].map {
                machine.wantsBytes(isWritable: $0.0, bodyWantsMore: $0.1)
            }
        }
        #expect(wants(machine) == [false, false, false, false])
        _ = machine.handle(.opened)
        // A client that takes no answers is not asked for requests.
        #expect(wants(machine) == [true, true, false, false])
        _ = machine.handle(.head(Self.post))
        #expect(wants(machine) == [true, false, true, false])
        _ = machine.handle(.answered(rest: 10))
        _ = machine.handle(.sent(succeeded: true))
        #expect(wants(machine) == [true, true, true, true])
        _ = machine.handle(.end)
        _ = machine.handle(.head(Self.get))
        _ = machine.handle(.end)
        #expect(wants(machine) == [false, false, false, false])
    }
}
