// Every rule that a byte store keeps, as one list.

public import BlobStorage
public import Testing

/// The contract of ``ByteStore`` and ``UploadWriter`` as rules that can be checked, each on a new store.
///
/// A backend is tested by one test:
///
///     @Test(arguments: ByteStoreConformance.allCases)
///     func conformance(rule: ByteStoreConformance) async throws {
///         try await rule.check { try LocalByteStore(directory: directory, …) }
///     }
public enum ByteStoreConformance: Hashable, Sendable {
    case writer(WriterRule)
    case blob(BlobRule)

    /// Checks the rule, recording an issue for every sentence of it that does not hold.
    ///
    /// - Parameter makeStore: makes an empty store with room for 64 MiB.
    public func check(_ makeStore: @Sendable () async throws -> any ByteStore) async throws {
        let trial = ByteStoreTrial(store: try await makeStore())
        switch self {
        case .writer(let rule): try await rule.check(trial)
        case .blob(let rule): try await rule.check(trial)
        }
    }
}

extension ByteStoreConformance: CaseIterable {
    public static var allCases: [ByteStoreConformance] {
        WriterRule.allCases.map(Self.writer) + BlobRule.allCases.map(Self.blob)
    }
}

extension ByteStoreConformance: CustomTestStringConvertible {
    public var testDescription: String {
        switch self {
        case .writer(let rule): "writer: \(rule)"
        case .blob(let rule): "blob: \(rule)"
        }
    }
}
