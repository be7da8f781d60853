// The `curl` command, for protocols that the raw connection does not speak: TLS and HTTP/2.

import Foundation

enum Curl {
    struct Answer {
        let response: Response
        /// `1.1` or `2`.
        let version: String
    }

    /// Runs curl in the server's folder with these arguments after `-sS`, fails when it does, and parses the answer.
    static func run(_ arguments: [String], in folder: TemporaryFolder) async throws -> Answer {
        let id = UUID().uuidString
        let (head, body) = (folder.path + "/\(id).head", folder.path + "/\(id).body")
        let outcome = try await ChildProcess.run(
            ["curl", "-sS", "--max-time", "60", "-D", head, "-o", body, "-w", "%{http_version}"] + arguments,
            in: folder.path)
        guard outcome.end == .code(0) else { throw Failure("curl \(arguments): \(outcome.end) \(outcome.errors)") }
        var response = try lastHead(of: folder.read("\(id).head"))
        if FileManager.default.fileExists(atPath: body) { response.body = try folder.read("\(id).body") }
        return Answer(response: response, version: outcome.output)
    }

    /// curl writes the heads of informational answers too; the last is the final one.
    private static func lastHead(of bytes: [UInt8]) throws -> Response {
        let heads = String(decoding: bytes, as: UTF8.self).components(separatedBy: "\r\n\r\n").filter { !$0.isEmpty }
        let lines = (heads.last ?? "").components(separatedBy: "\r\n")
        let words = (lines.first ?? "").split(separator: " ")
        guard words.count >= 2, let status = Int(words[1]) else { throw Failure("no head from curl") }
        var headers = Headers()
        for line in lines.dropFirst() {
            let parts = line.split(separator: ":", maxSplits: 1)
            headers.add(String(parts[0]), parts.count > 1 ? parts[1].trimmingCharacters(in: .whitespaces) : "")
        }
        return Response(status: status, headers: headers)
    }
}
