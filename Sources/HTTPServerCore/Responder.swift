// The responder behind the connections.

/// Turns requests into answers. Called on the event loop of the request's connection: nothing here may block.
public protocol Responder: Sendable {
    /// Answers a request, at once where nothing has to be waited for.
    func answer(to request: Request) -> Answering

    /// The answer to bytes that are no request that the server takes.
    func answer(to refusal: Refusal, _ record: RequestRecord) -> Response

    /// Told after every request, whatever became of it.
    func ended(_ request: EndedRequest)
}

/// An answer, or how to get it.
public enum Answering: Sendable {
    case now(Response)
    /// On an executor; `nil` for that of all tasks.
    case later(on: (any TaskExecutor)?, @Sendable () async -> Response)
}

/// Why a connection does not take the bytes that came for a request.
public enum Refusal: Error, Equatable, Sendable {
    /// The bytes are no request; what is wrong with "it", the request, goes on after "These bytes are not an HTTP
    /// request:".
    case malformed(String)
    /// The body is wrapped in a way that the server does not know (RFC 9112 §6.1).
    case unknownTransferCoding
    case requestLineTooLong
    case headersTooLarge
}
