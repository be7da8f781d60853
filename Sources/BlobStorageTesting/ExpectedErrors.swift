// How the rules of both suites expect a call to be refused.

import BlobCore
import Testing

/// Expects a call to throw an error of one of these reasons.
func expectError(
    _ reasons: BlobError.Reason..., sourceLocation: SourceLocation = #_sourceLocation,
    from call: () async throws -> Void
) async {
    await expectError("\(reasons)", where: { reasons.contains($0.reason) }, sourceLocation: sourceLocation, from: call)
}

/// Expects a call to throw an error of a kind, where its further details are the backend's own.
func expectError(
    _ kind: String, where isExpected: (BlobError) -> Bool, sourceLocation: SourceLocation = #_sourceLocation,
    from call: () async throws -> Void
) async {
    do {
        try await call()
        Issue.record("expected \(kind), but nothing was thrown", sourceLocation: sourceLocation)
    } catch let error as BlobError where isExpected(error) {
        return
    } catch {
        Issue.record("expected \(kind), but this was thrown: \(error)", sourceLocation: sourceLocation)
    }
}

/// Expects a call to throw because the upload is not open any more, or not the caller's to write. Which of the reasons
/// is told is not promised where several hold.
func expectRefusal(sourceLocation: SourceLocation = #_sourceLocation, from call: () async throws -> Void) async {
    await expectError(.uploadSuperseded, .uploadUnknown, .uploadFailed, sourceLocation: sourceLocation, from: call)
}
