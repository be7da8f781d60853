// The rules that hold for every answer of the API, whatever the request: checked for each that a test's `Client` sends.

import Foundation
import Testing

enum AnswerRules {
    static func check(
        _ response: Response, to request: Request, of server: ServerProcess, _ sourceLocation: SourceLocation
    ) async {
        #expect(
            !(response.headers["X-Request-ID"] ?? "").isEmpty, "every answer bears X-Request-ID: \(response)",
            sourceLocation: sourceLocation)
        #expect(throws: Never.self, "every answer has a Date: \(response)", sourceLocation: sourceLocation) {
            try Dates.http(response.headers["Date"])
        }
        if response.status >= 400 {
            checkError(response, to: request, of: server, sourceLocation)
        }
        await checkDocument(response, to: request, sourceLocation)
    }

    /// The server's own description of its answers. One that cannot be had is a fault too: no answer was checked.
    private static func checkDocument(
        _ response: Response, to request: Request, _ sourceLocation: SourceLocation
    ) async {
        do {
            for violation in try await OpenAPIDocument.ofSharedServer.violations(of: response, to: request) {
                Issue.record(
                    "openapi.json: \(violation)\n\(request.method) \(request.target)\n\(response)",
                    sourceLocation: sourceLocation)
            }
        } catch {
            Issue.record(error, sourceLocation: sourceLocation)
        }
    }

    /// `{"errors":[{"code":"…","message":"…","detail":…}]}`; never a stack trace, a path on disk, or a token.
    private static func checkError(
        _ response: Response, to request: Request, of server: ServerProcess, _ sourceLocation: SourceLocation
    ) {
        if request.method == "HEAD" { return }
        let type = response.headers["Content-Type"] ?? ""
        #expect(type.hasPrefix("application/json"), "errors are JSON: \(response)", sourceLocation: sourceLocation)
        let errors = response.json?["errors"]?.array ?? []
        let shape = response.json?.object.map { $0.keys.sorted() } ?? []
        #expect(shape == ["errors"] && !errors.isEmpty, "an error's form: \(response)", sourceLocation: sourceLocation)
        for error in errors {
            let code = error["code"]?.string ?? ""
            let message = error["message"]?.string ?? ""
            let others = Set((error.object ?? [:]).keys).subtracting(["code", "message", "detail"])
            #expect(
                code.wholeMatch(of: /[A-Z][A-Z0-9_]*/) != nil, "the code: \(response)", sourceLocation: sourceLocation)
            #expect(!message.isEmpty && others.isEmpty, "an error's form: \(response)", sourceLocation: sourceLocation)
        }
        let secrets = [
            request.headers["Authorization"]?.split(separator: " ").last.map(String.init),
            request.headers["PortSIP-Upload-Token"],
        ]
        let inside = [server.folder.path, ".swift", "Fatal error"]
        for text in secrets.compactMap({ $0 }).filter({ $0.count > 15 }) + inside {
            #expect(!response.text.contains(text), "must not tell \(text): \(response)", sourceLocation: sourceLocation)
        }
    }
}
