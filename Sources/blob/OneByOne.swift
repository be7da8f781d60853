// Commands that do the same with each of several things on a server.

import BlobClient
import Program

/// Does the same with each of several things; one that fails does not keep the others, unless they would meet the same.
struct OneByOne {
    var json: Bool
    /// The name of the success in JSON.
    var done: ReportedEvent.Kind
    var word: String

    /// - Returns: whether all succeeded.
    func run(_ ids: [String], _ body: (String) async throws -> Void) async throws -> Bool {
        var areAllDone = true
        for id in ids {
            do {
                try await body(id)
                var event = ReportedEvent(done)
                event.id = id
                try Output.write((json ? JSONLines.text(event) : "\(word) \(DisplayText.safe(id))") + "\n")
            } catch  where !(error is ClosedOutput || error is CancellationError || error is UsageProblem) {
                areAllDone = false
                var event = ReportedEvent(.failed)
                (event.id, event.error) = (id, ReportedEvent.Failure(error))
                if json { try JSONLines.print(event) }
                if !json { Console.complain("\(DisplayText.safe(id)): \(ErrorText(error).whole)") }
                if (error as? BlobClientError)?.concernsEveryFile ?? false, id != ids.last {
                    Console.complain("stopped: the others would meet the same")
                    return false
                }
            }
        }
        return areAllDone
    }
}
