// Buckets of requests, by a clock that the test turns.

import BlobCore
import BlobStorage
import BlobStorageTesting
import HTTPTypes
import Logging
import NIOCore
import Testing

@testable import BlobHTTP
@testable import HTTPServerCore

@Suite struct RateLimiterTests {
    private let clock = ManualClock()

    @Test("so many at once, and then as fast as they come back", arguments: [1, 2, 7, 600, 100_000])
    func burst(_ count: Int) throws {
        let limiter = RateLimiter<Int>(RequestRate(count: count, per: .seconds(60)), clock: clock)
        for _ in 0..<count { #expect(limiter.take(1) == nil) }
        let wait = try #require(limiter.take(1))
        #expect(wait > 0 && abs(wait - 60 / Double(count)) < 0.001)
        #expect(limiter.take(2) == nil, "another has its own")
        clock.advance(by: .seconds(60) / count + .microseconds(1))
        #expect(limiter.take(1) == nil)
        #expect(limiter.take(1) != nil)
        clock.advance(by: .seconds(1000))
        for _ in 0..<count { #expect(limiter.take(1) == nil) }
        #expect(limiter.take(1) != nil, "no more than that, however long the pause was")
    }

    @Test func refusedOnesCostNothing() {
        let limiter = RateLimiter<Int>(RequestRate(count: 1, per: .seconds(1)), clock: clock)
        #expect(limiter.take(1) == nil)
        for _ in 0..<100 { #expect(limiter.take(1) != nil) }
        clock.advance(by: .seconds(1))
        #expect(limiter.take(1) == nil)
    }

    @Test func aClockThatIsSetBackKeepsNobodyOutForLongerThanThePeriod() throws {
        let limiter = RateLimiter<Int>(RequestRate(count: 2, per: .seconds(10)), clock: clock)
        for _ in 0..<2 { #expect(limiter.take(1) == nil) }
        clock.advance(by: .seconds(-86_400))
        #expect(try #require(limiter.take(1)) <= 10)
        clock.advance(by: .seconds(10))
        #expect(limiter.take(1) == nil)
    }

    @Test func memoryIsBounded() {
        let limiter = RateLimiter<Int>(RequestRate(count: 1, per: .seconds(60)), capacity: 100, clock: clock)
        for key in 0..<10_000 {
            _ = limiter.take(key)
            #expect(limiter.keyCount <= 100)
        }
        #expect(limiter.take(9_999) != nil, "the last ones are remembered")
    }

    // MARK: In the chain

    private func chain(perAddress: RequestRate? = nil, perSubject: RequestRate? = nil) -> (SampleServer, Chain) {
        let server = SampleServer()
        let chain = Chain(
            server.surfaces + [UploadHead()],
            authenticator: Authenticator(catalog: server.catalog, clock: server.clock), isReadOnly: false,
            limits: RateLimits(perSubject: perSubject, perAddress: perAddress, clock: clock),
            log: RequestLog(logger: Logger(label: "test"))
        )
        return (server, chain)
    }

    /// What the doors of resumable uploads have.
    private struct UploadHead: Surface {
        var endpoints: [Endpoint] { [.open(.head, "/api/test/{id}", "head") { _, _ in Response(.noContent) }] }
    }

    private func answer(
        _ chain: Chain, _ method: HTTPRequest.Method, _ path: String, from address: String
    ) async throws -> Response {
        let head = HTTPRequest(method: method, scheme: nil, authority: nil, path: path)
        let body = RequestBody(length: 0) {}
        body.finish()
        let peer = Peer(try #require(IPAddress(address)), port: 1)
        switch chain.answer(to: Request(head: head, body: body, peer: peer)) {
        case .now(let answer): return answer
        case .later(_, let answer): return await answer()
        }
    }

    @Test("a client's requests, whatever they ask for, but for the state of an upload and of the server")
    func perAddress() async throws {
        let (_, chain) = chain(perAddress: RequestRate(count: 2, per: .seconds(60)))
        for _ in 0..<2 {
            #expect(try await answer(chain, .get, "/api/files", from: "2001:db8::1").status == .unauthorized)
        }
        for path in ["/api/files", "/openapi.json", "/api/blobs/" + String(repeating: "a", count: 64)] {
            let refused = try await answer(chain, .get, path, from: "2001:db8::2")
            #expect(refused.status == .tooManyRequests && refused.fields[.retryAfter] == "30")
        }
        #expect(try await answer(chain, .get, "/api/files", from: "2001:db8:0:1::1").status == .unauthorized)
        for (method, path) in [(HTTPRequest.Method.get, "/health"), (.head, "/api/test/1")] {
            #expect(try await answer(chain, method, path, from: "2001:db8::1").status.kind == .successful)
        }
        clock.advance(by: .seconds(30))
        #expect(try await answer(chain, .get, "/api/files", from: "2001:db8::1").status == .unauthorized)
    }
}
