// What every request or every answer has to pass, whatever is asked for.

import HTTPServerCore
import HTTPTypes

/// A station on the way of every request. Nothing in it waits, so that it stands in the way of answers that do not wait
/// either.
protocol Filter: Sendable {
    /// Lets a request pass, before its endpoint is known.
    ///
    /// - Throws: the error to answer with.
    func admit(_ request: Request) throws(WireError)

    /// Completes an answer on its way out.
    ///
    /// - Parameter request: `nil` for an answer to bytes that are no request.
    func complete(_ answer: inout Response, to request: Request?, _ record: RequestRecord)
}

extension Filter {
    func admit(_ request: Request) throws(WireError) {}
    func complete(_ answer: inout Response, to request: Request?, _ record: RequestRecord) {}
}

/// Refuses requests that are larger than any that the server knows, or of which nobody knows whose they are.
struct RequestLimits: Filter {
    /// Of a path, and of a query. In bytes.
    private static let longest = 8 * 1024

    func admit(_ request: Request) throws(WireError) {
        guard max(request.path.utf8.count, request.queryText.utf8.count) <= Self.longest else { throw .uriTooLong }
        guard request.fields.count <= HTTPServer.mostFields else { throw .headersTooLarge }
        guard !request.namesTwoClients else {
            throw WireError(
                .badRequest,
                "'Forwarded' and 'X-Forwarded-For' name two clients: the proxy has to take away the one it does not set."
            )
        }
    }
}

/// Adds the headers that every answer bears.
struct CommonHeaders: Filter {
    private let date = DateHeader()

    func complete(_ answer: inout Response, to request: Request?, _ record: RequestRecord) {
        // No endpoint sets them. Setting them in the place of others would look at all that there are.
        answer.fields.append(HTTPField(name: .requestID, value: record.id))
        answer.fields.append(HTTPField(name: .date, value: date.value))
        // RFC 9110 §9.3.2: the headers of a GET, and no body.
        if request?.method == .head { answer.body = .empty }
    }
}
