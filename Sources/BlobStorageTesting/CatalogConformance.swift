// Every rule that a catalog keeps, as one list.

public import BlobStorage
public import Testing

/// The contract of ``Catalog`` as rules that can be checked, each on a new catalog.
///
/// A backend is tested by one test:
///
///     @Test(arguments: CatalogConformance.allCases)
///     func conformance(rule: CatalogConformance) async throws {
///         try await rule.check { clock in try LocalCatalog(at: path, clock: clock) }
///     }
public enum CatalogConformance: Hashable, Sendable {
    case upload(UploadRule)
    case claim(ClaimRule)
    case completion(CompletionRule)
    case file(FileRule)
    case list(ListRule)
    case cursor(CursorRule)
    case reclaiming(ReclaimingRule)
    case verifying(VerifyingRule)
    case token(TokenRule)
    case number(NumberRule)
    case quota(QuotaRule)

    /// Checks the rule, recording an issue for every sentence of it that does not hold.
    ///
    /// - Parameter makeCatalog: makes an empty catalog that takes the time from the given clock.
    public func check(_ makeCatalog: @Sendable (any WallClock) async throws -> any Catalog) async throws {
        let clock = ManualClock()
        let trial = CatalogTrial(catalog: try await makeCatalog(clock), clock: clock)
        switch self {
        case .upload(let rule): try await rule.check(trial)
        case .claim(let rule): try await rule.check(trial)
        case .completion(let rule): try await rule.check(trial)
        case .file(let rule): try await rule.check(trial)
        case .list(let rule): try await rule.check(trial)
        case .cursor(let rule): try await rule.check(trial)
        case .reclaiming(let rule): try await rule.check(trial)
        case .verifying(let rule): try await rule.check(trial)
        case .token(let rule): try await rule.check(trial)
        case .number(let rule): try await rule.check(trial)
        case .quota(let rule): try await rule.check(trial)
        }
    }
}

extension CatalogConformance: CaseIterable {
    public static var allCases: [CatalogConformance] {
        UploadRule.allCases.map(Self.upload) + ClaimRule.allCases.map(Self.claim)
            + CompletionRule.allCases.map(Self.completion) + FileRule.allCases.map(Self.file)
            + ListRule.allCases.map(Self.list) + CursorRule.allCases.map(Self.cursor)
            + ReclaimingRule.allCases.map(Self.reclaiming)
            + VerifyingRule.allCases.map(Self.verifying) + TokenRule.allCases.map(Self.token)
            + NumberRule.allCases.map(Self.number) + QuotaRule.allCases.map(Self.quota)
    }
}

extension CatalogConformance: CustomTestStringConvertible {
    public var testDescription: String {
        switch self {
        case .upload(let rule): "upload: \(rule)"
        case .claim(let rule): "claim: \(rule)"
        case .completion(let rule): "completion: \(rule)"
        case .file(let rule): "file: \(rule)"
        case .list(let rule): "list: \(rule)"
        case .cursor(let rule): "cursor: \(rule)"
        case .reclaiming(let rule): "reclaiming: \(rule)"
        case .verifying(let rule): "verifying: \(rule)"
        case .token(let rule): "token: \(rule)"
        case .number(let rule): "number: \(rule)"
        case .quota(let rule): "quota: \(rule)"
        }
    }
}
