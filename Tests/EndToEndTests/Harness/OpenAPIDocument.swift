// The server's own OpenAPI document, held against its answers: every answer must be one that the document promises.

import Foundation

struct OpenAPIDocument: Sendable {
    let root: JSON

    /// `/openapi.json` of the shared server, asked once.
    static var ofSharedServer: OpenAPIDocument {
        get async throws { try await loading.value }
    }

    private static let loading = Task {
        let connection = try await ServerProcess.shared.connect()
        defer { connection.close() }
        try await connection.send(Request.get("/openapi.json"))
        let response = try await connection.receive()
        guard response.status == 200, let root = response.json else { throw Failure("/openapi.json: \(response)") }
        return OpenAPIDocument(root: root)
    }

    /// Each path as it is on the wire (the server's base path before it), with its item.
    var paths: [(template: String, item: JSON)] {
        (root["paths"]?.object ?? [:]).map { path, item in
            let servers = item["servers"] ?? root["servers"]
            return (basePath(servers?[0]?["url"]?.string ?? "") + path, item)
        }
    }

    /// The parts of this answer that the document does not promise.
    func violations(of response: Response, to request: Request) -> [String] {
        guard let (template, item) = item(for: request.path) else {
            return response.status == 404 || response.status == 401 ? [] : ["no path for \(request.path)"]
        }
        let method = request.method.lowercased()
        guard let operation = item[method] ?? (method == "head" ? item["get"] : nil) else {
            return response.status == 405 || response.status == 401 ? [] : ["no \(request.method) for \(template)"]
        }
        let answers = operation["responses"]
        let keys = [String(response.status), "\(response.status / 100)XX", "default"]
        guard let answer = keys.lazy.compactMap({ answers?[$0] }).first.map(resolved) else {
            return ["\(request.method) \(template) does not promise \(response.status)"]
        }
        return headerViolations(of: response, answer) + bodyViolations(of: response, to: request, answer)
    }

    private func headerViolations(of response: Response, _ answer: JSON) -> [String] {
        (answer["headers"]?.object ?? [:]).flatMap { name, header -> [String] in
            let header = resolved(header)
            guard let value = response.headers[name] else {
                return header["required"] == .boolean(true) ? ["the header \(name) is missing"] : []
            }
            guard let schema = header["schema"] else { return [] }
            let isInteger = resolved(schema)["type"] == .string("integer")
            let json = isInteger ? Int64(value).map(JSON.integer) ?? .string(value) : .string(value)
            return JSONSchema(document: root).violations(of: json, against: schema, at: name)
        }
    }

    private func bodyViolations(of response: Response, to request: Request, _ answer: JSON) -> [String] {
        if request.method == "HEAD" || (response.body.isEmpty && answer["content"] == nil) { return [] }
        let type = String((response.headers["Content-Type"] ?? "").prefix { $0 != ";" })
        guard let content = answer["content"]?[type] else { return ["no content of the type '\(type)' is promised"] }
        guard type.hasSuffix("json"), let schema = content["schema"] else { return [] }
        guard let body = response.json else { return ["the body is not JSON"] }
        return JSONSchema(document: root).violations(of: body, against: schema, at: "body")
    }

    /// The path's item; of several that fit the one with the most literal segments.
    private func item(for path: String) -> (template: String, item: JSON)? {
        let segments = path.split(separator: "/", omittingEmptySubsequences: false)
        let fitting = paths.filter { path in
            let wanted = path.template.split(separator: "/", omittingEmptySubsequences: false)
            return wanted.count == segments.count
                && zip(wanted, segments).allSatisfy { $0 == $1 || ($0.hasPrefix("{") && !$1.isEmpty) }
        }
        return fitting.min { $0.template.count { $0 == "{" } < $1.template.count { $0 == "{" } }
    }

    private func resolved(_ json: JSON) -> JSON {
        JSONSchema(document: root).resolved(json)
    }

    private func basePath(_ url: String) -> String {
        let path = url.replacing(/^[^\/]*\/\/[^\/]*/, with: "")
        return path.hasSuffix("/") ? String(path.dropLast()) : path
    }
}
