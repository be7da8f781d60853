// How the rules of both suites expect a call to be refused.

import BlobCore
import Testing

/// Expects a call to throw an error of one of these codes.
func expectError(
    _ codes: BlobError.Code..., sourceLocation: SourceLocation = #_sourceLocation,
    from call: () async throws -> Void
) async {
    do {
        try await call()
        Issue.record("expected \(codes), but nothing was thrown", sourceLocation: sourceLocation)
    } catch let error as BlobError where codes.contains(error.code) {
        return
    } catch {
        Issue.record("expected \(codes), but this was thrown: \(error)", sourceLocation: sourceLocation)
    }
}

/// Expects a call to throw because the upload is not open any more, or not the caller's to write. Which of the reasons
/// is told is not promised where several hold.
func expectRefusal(sourceLocation: SourceLocation = #_sourceLocation, from call: () async throws -> Void) async {
    await expectError(.uploadSuperseded, .uploadUnknown, .uploadFailed, sourceLocation: sourceLocation, from: call)
}
