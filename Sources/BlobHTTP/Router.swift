// Finds what a request asks for.

import HTTPServerCore
import HTTPTypes

/// All endpoints of a server. The common rules of methods follow from them: `HEAD` where there is a
/// `GET`, `OPTIONS`, and `Allow` for any other method.
struct Router: Sendable {
    /// A class, so that looking at one after the other copies none.
    private final class Resource: Sendable {
        let path: PathPattern
        /// With those that follow from them.
        let endpoints: [Endpoint]
        let allowed: [String]

        init(_ endpoints: [Endpoint], at path: PathPattern) {
            let methods = endpoints.flatMap { $0.method == .get ? [.get, .head] : [$0.method] } + [.options]
            let allowed = methods.map(\.rawValue)
            let options = Endpoint.open(.options, path.text, "options") { _, _ in
                Response(.noContent, fields: [.allow: allowed.joined(separator: ", ")])
            }
            // To refuse one costs as much, and a browser tells its page nothing of an error on it.
            .unlimited()
            (self.path, self.allowed) = (path, allowed)
            self.endpoints = endpoints + [options]
        }

        func endpoint(for method: HTTPRequest.Method) -> Endpoint? {
            endpoints.first { $0.method == method || $0.method == .get && method == .head }
        }
    }

    private let resources: [Resource]
    private let address: PublicAddress

    /// - Parameter address: whose path may stand before those of requests.
    /// - Precondition: no two endpoints have a method and a path in common.
    init(_ endpoints: [Endpoint], at address: PublicAddress) {
        var resources: [Resource] = []
        for (path, group) in Dictionary(grouping: endpoints, by: \.path.text) {
            precondition(Set(group.map(\.method)).count == group.count, "\(path) has a method twice")
            resources.append(Resource(group, at: PathPattern(path)))
        }
        self.address = address
        self.resources = resources.sorted { $0.path.precedes($1.path) }
    }

    /// The endpoint of a request, and the names in its path.
    ///
    /// - Throws: ``WireError`` where the path or its method is not known.
    func endpoint(for request: Request) throws(WireError) -> (Endpoint, Captures) {
        // Its target is no path (RFC 9112 §3.2.3).
        guard request.method != .connect else {
            let allowed = Self.methods.map(\.rawValue).sorted()
            throw WireError(.methodNotAllowed, "This server is no proxy.", detail: .allowedMethods(allowed))
        }
        // The rest first, and all of it then: with a public path of `/api`, `/api/files` has no endpoint behind that.
        if let rest = address.rest(of: request.path), let found = try endpoint(for: request.method, at: rest) {
            return found
        }
        if let found = try endpoint(for: request.method, at: request.path) { return found }
        throw WireError(.notFound, "There is nothing at this path; /openapi.json lists what there is.")
    }

    /// - Returns: `nil` where the path is not known.
    private func endpoint(
        for method: HTTPRequest.Method, at path: Substring
    ) throws(WireError) -> (Endpoint, Captures)? {
        for resource in resources {
            guard let captures = resource.path.match(path) else { continue }
            if let endpoint = resource.endpoint(for: method) { return (endpoint, captures) }
            throw WireError(
                .methodNotAllowed,
                "The method \(method.rawValue) is not for this path; "
                    + "\(resource.allowed.joined(separator: ", ")) is.",
                detail: .allowedMethods(resource.allowed)
            )
        }
        return nil
    }

    /// The methods that any path knows.
    static let methods: [HTTPRequest.Method] = [.get, .head, .post, .options]
}
