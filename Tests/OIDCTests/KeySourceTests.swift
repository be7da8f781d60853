// Keys that change, and an issuer that is not always there.

import BlobCore
import BlobStorageTesting
import Crypto
import Foundation
import Logging
import Synchronization
import Testing

@testable import OIDC

@Suite struct KeySourceTests {
    /// A place that shows keys of Ed25519, each named by its id.
    private final class Issuer: Sendable {
        private struct Away: Error {}

        private let shown = Mutex<(page: String?, looks: Int)>((nil, 0))

        var looks: Int { shown.withLock { $0.looks } }

        /// - Parameter page: `nil` while it is away.
        func show(_ page: String?) { shown.withLock { $0.page = page } }

        func show(keys ids: String...) {
            let keys = ids.map { id in
                let key = Curve25519.Signing.PrivateKey().publicKey.rawRepresentation
                return #"{"kty":"OKP","crv":"Ed25519","kid":"\#(id)","x":"\#(Forge.base64URL(key))"}"#
            }
            show(#"{"keys":[\#(keys.joined(separator: ","))]}"#)
        }

        @Sendable func load() throws -> [UInt8] {
            try shown.withLock { shown in
                shown.looks += 1
                guard let page = shown.page else { throw Away() }
                return Array(page.utf8)
            }
        }
    }

    private let issuer = Issuer()
    private let clock = ManualClock()
    private let source: KeySource

    init() {
        source = KeySource(
            algorithms: Set(SigningAlgorithm.allCases), clock: clock,
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }, load: issuer.load)
    }

    /// - Returns: `nil` when the key was found.
    private func fault(_ id: String?) async -> BlobError.Reason? {
        do throws(BlobError) {
            _ = try await source.verifier(by: .edDSA, key: id)
            return nil
        } catch {
            return error.reason
        }
    }

    @Test func anUnknownKeyIsLookedForOnceAMinute() async {
        issuer.show(keys: "old")
        #expect(await fault("old") == nil)
        issuer.show(keys: "new")
        clock.advance(by: .seconds(59))
        #expect(await fault("new") == .tokenInvalid(.key))
        #expect(issuer.looks == 1)
        clock.advance(by: .seconds(1))
        #expect(await fault("new") == nil)
        #expect(issuer.looks == 2)
        #expect(await fault("old") == .tokenInvalid(.key))
        #expect(issuer.looks == 2)
    }

    @Test func manyThatAskAtOnceLookOnce() async {
        issuer.show(keys: "one")
        #expect(await source.prepare() == nil)
        clock.advance(by: .seconds(60))
        await withTaskGroup(of: Void.self) { group in
            for number in 0..<100 {
                group.addTask { #expect(await fault("made up \(number)") == .tokenInvalid(.key)) }
            }
        }
        #expect(issuer.looks == 2)
    }

    @Test func keysStayWhileTheIssuerIsAway() async {
        issuer.show(keys: "one")
        #expect(await source.prepare() == nil)
        issuer.show(nil)
        for _ in 0..<24 {
            clock.advance(by: .seconds(3600))
            #expect(await fault("one") == nil)
            #expect(await source.prepare() != nil)
        }
        #expect(await fault("other") == .tokenInvalid(.key))
        clock.advance(by: .seconds(60))
        issuer.show(keys: "one", "other")
        #expect(await fault("other") == nil)
    }

    @Test func nobodyIsRefusedForGoodBeforeTheIssuerWasReached() async {
        #expect(await source.prepare() != nil)
        #expect(await fault("one") == .unavailable(.signingKeysUnreachable))
        issuer.show(keys: "one")
        clock.advance(by: .seconds(4))
        #expect(await fault("one") == .unavailable(.signingKeysUnreachable))
        clock.advance(by: .seconds(1))
        #expect(await fault("one") == nil)
    }

    @Test func aKeyThatIsTakenBackGoes() async {
        issuer.show(keys: "one", "two")
        #expect(await source.prepare() == nil)
        issuer.show(keys: "two")
        clock.advance(by: .seconds(299))
        #expect(await fault("one") == nil)
        #expect(issuer.looks == 1)
        clock.advance(by: .seconds(1))
        // It is looked at again for this one, which does not wait for it.
        #expect(await fault("one") == nil)
        #expect(await source.prepare() == nil)
        #expect(issuer.looks == 2)
        #expect(await fault("one") == .tokenInvalid(.key))
        #expect(await fault("two") == nil)
    }

    @Test(arguments: [
        "", "[]", "<html>", #"{"keys":{}}"#, #"{"key":[]}"#, "null",
        #"{"keys":[\#(Array(repeating: "{}", count: 101).joined(separator: ","))]}"#,
        String(repeating: #"{"keys":["#, count: 1000),
    ])
    func whatIsNoKeySetChangesNothing(_ page: String) async {
        issuer.show(keys: "one")
        #expect(await source.prepare() == nil)
        issuer.show(page)
        clock.advance(by: .seconds(60))
        #expect(await fault("two") == .tokenInvalid(.key))
        #expect(issuer.looks == 2)
        #expect(await fault("one") == nil)
        #expect(await source.prepare() != nil)
    }

    @Test func anIssuerMayTakeBackAllKeys() async {
        issuer.show(keys: "one")
        #expect(await source.prepare() == nil)
        issuer.show(#"{"keys":[]}"#)
        clock.advance(by: .seconds(60))
        #expect(await fault("two") == .tokenInvalid(.key))
        #expect(await fault("one") == .tokenInvalid(.key))
    }

    @Test func aTokenWithoutAnIdIsOfTheOnlyKey() async {
        issuer.show(keys: "one")
        #expect(await fault(nil) == nil)
        issuer.show(keys: "one", "two")
        clock.advance(by: .seconds(60))
        #expect(await fault("two") == nil)
        #expect(await fault(nil) == .tokenInvalid(.key))
    }

    @Test func aWeakKeyOfRSAIsNone() async throws {
        let modulus = Forge.base64URL([0xC3] + Array(repeating: UInt8(7), count: 127))
        issuer.show(#"{"keys":[{"kty":"RSA","kid":"weak","n":"\#(modulus)","e":"AQAB"}]}"#)
        #expect(await source.prepare() != nil)
        await #expect(throws: BlobError(.tokenInvalid(.key))) {
            _ = try await source.verifier(by: .rs256, key: "weak")
        }
    }

    @Test func aClockThatIsSetBackStopsNoLook() async {
        issuer.show(keys: "one")
        #expect(await source.prepare() == nil)
        clock.advance(by: .seconds(-86_400))
        issuer.show(keys: "two")
        #expect(await fault("two") == nil)
    }
}
