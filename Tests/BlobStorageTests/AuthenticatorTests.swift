// What is noted of tokens that let somebody in.

import BlobCore
import BlobStorageTesting
import Foundation
import Testing

@testable import BlobStorage

@Suite struct AuthenticatorTests {
    private let clock = ManualClock()
    private let catalog: InMemoryCatalog
    private let authenticator: Authenticator
    private let secret = "secret"

    /// 2025-06-15T15:00:00Z; the clock stands at 15:06:40.
    private static let hour = Date(timeIntervalSince1970: 1_749_999_600)

    init() throws {
        catalog = InMemoryCatalog(clock: clock)
        authenticator = Authenticator(catalog: catalog, clock: clock)
        let token = AccessToken(
            name: "phone", scopes: [.read], created: clock.now, expires: clock.time(in: .seconds(7200)))
        try catalog.createToken(token, secretDigest: BlobDigest(of: secret.utf8))
    }

    /// Waits until a use is recorded that nobody else waits for.
    @Test(.timeLimit(.minutes(1))) func theHourOfItsUseIsRecorded() async throws {
        for hours in 0..<2 {
            _ = try await authenticator.caller(secret: secret)
            let hour = Self.hour.addingTimeInterval(3600 * Double(hours))
            while try catalog.tokens().first?.lastUsed != hour { await Task.yield() }
            clock.advance(by: .seconds(3600))
        }
        clock.advance(by: .seconds(3600))
        await #expect(throws: BlobError(.tokenInvalid(.expired))) { try await authenticator.caller(secret: secret) }
        #expect(try catalog.tokens().first?.lastUsed == Self.hour.addingTimeInterval(3600))
    }

    @Test func onlyTheFirstOfAnHourIsRecorded() async {
        let (uses, digest) = (TokenUses(), BlobDigest(of: secret.utf8))
        let first = await withTaskGroup(of: Bool.self) { group in
            for _ in 0..<1000 { group.addTask { uses.isFirst(of: digest, in: Self.hour) } }
            return await group.reduce(0) { $0 + ($1 ? 1 : 0) }
        }
        #expect(first == 1)
        #expect(uses.isFirst(of: BlobDigest(of: "other".utf8), in: Self.hour))
        #expect(uses.isFirst(of: digest, in: Self.hour + 3600))
        #expect(!uses.isFirst(of: digest, in: Self.hour + 3600))
    }
}
