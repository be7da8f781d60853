// The keys of an issuer, wherever they are shown, and how they stay fresh.

import BlobCore
public import BlobStorage
import Foundation
import JWTKit
public import Logging

/// Keeps the keys that an issuer shows, and looks there again.
///
/// A token with an unknown key makes it look at once, so that an issuer can change its keys when it likes, but at most
/// once a minute, whoever sends tokens. Keys that nobody has looked at for five minutes are looked at again while they
/// are used, so that a key that an issuer takes back goes. When the issuer cannot be reached, or shows what is no key
/// set, the last ones stay.
public actor KeySource {
    /// Reads the JSON Web Key Set. It waits for no more than seconds.
    public typealias Load = @Sendable () async throws -> [UInt8]

    private let load: Load
    private let algorithms: Set<SigningAlgorithm>
    private let clock: any WallClock
    private let logger: Logger
    private var keys: KeySet?
    private var lastLook: Date?
    private var look: Task<Void, Never>?
    /// What is wrong with the last look, so that it is logged once.
    private var fault: String?

    /// In seconds, from one look to the next.
    private static let interval: TimeInterval = 60
    /// The same as long as there are no keys at all, and no token can be believed.
    private static let firstInterval: TimeInterval = 5
    private static let freshness: TimeInterval = 300

    public init(
        algorithms: Set<SigningAlgorithm>, clock: any WallClock, logger: Logger, load: @escaping Load
    ) {
        self.load = load
        self.algorithms = algorithms
        self.clock = clock
        self.logger = logger
    }

    /// The first look, so that a fault is known at the start.
    ///
    /// - Returns: what is wrong; `nil` when keys are there.
    public func prepare() async -> String? {
        await refresh()
        return fault
    }

    /// - Throws: ``BlobError/Reason/tokenInvalid(_:)`` when the issuer shows no such key,
    ///   ``BlobError/Reason/unavailable(_:)`` when it was never reached.
    func verifier(by algorithm: SigningAlgorithm, key id: String?) async throws(BlobError) -> any JWTAlgorithm {
        if let verifier = keys?.verifier(by: algorithm, key: id) {
            if age >= Self.freshness { startLook() }
            return verifier
        }
        await refresh()
        guard let keys else { throw BlobError(.unavailable(.signingKeysUnreachable)) }
        guard let verifier = keys.verifier(by: algorithm, key: id) else { throw BlobError(.tokenInvalid(.key)) }
        return verifier
    }

    /// Since the last look. A clock that was set back counts as time that has passed.
    private var age: TimeInterval {
        lastLook.map { abs(clock.now.timeIntervalSince($0)) } ?? .infinity
    }

    private func refresh() async {
        startLook()
        await look?.value
    }

    /// Begins to look unless somebody does, or has just done so.
    private func startLook() {
        guard look == nil, age >= (keys == nil ? Self.firstInterval : Self.interval) else { return }
        lastLook = clock.now
        // Of no caller: one that goes away leaves the look to the others.
        look = Task { await readKeys() }
    }

    private func readKeys() async {
        do {
            let found = try await KeySet(json: try await load(), algorithms: algorithms)
            keys = found
            note(found.isEmpty ? "it shows no key for the algorithms that are taken" : nil)
        } catch {
            note(sentence(of: error))
        }
        look = nil
    }

    private func note(_ fault: String?) {
        defer { self.fault = fault }
        guard fault != self.fault else { return }
        if let fault {
            logger.warning("the issuer's keys cannot be read", metadata: ["reason": .string(fault)])
        } else {
            logger.notice("the issuer's keys were read")
        }
    }

    private func sentence(of error: any Error) -> String {
        error is DecodingError
            ? "it shows no JSON Web Key Set" : "\(error)".split(whereSeparator: \.isNewline).joined(separator: " ")
    }
}
