// What a connection is busy with.

import HTTPTypes

/// The states of a ``ConnectionHandler``.
enum ConnectionState {
    /// Between requests.
    case idle
    /// A head without a sign of a body has arrived: the request is handed over when it is complete.
    case head(HTTPRequest)
    /// The API works on the request, or its answer is being sent.
    case handling(Exchange)
    /// The answer was sent before the whole body arrived; what is left of it is thrown away. Then another request may
    /// follow, or the connection ends.
    case discarding(DiscardBudget, keepsAlive: Bool)
    case closed

    /// Whether more should be read from the connection.
    func wantsBytes(isWritable: Bool) -> Bool {
        switch self {
        // A client that takes no answers gets no more of them to pile up here.
        case .idle, .head: isWritable
        case .discarding: true
        case .handling(let exchange): !exchange.isRequestComplete && exchange.body.wantsMore
        case .closed: false
        }
    }
}

/// Bytes that are read and thrown away after an early answer.
struct DiscardBudget {
    private var left = 16 * 1024 * 1024

    var isSpent: Bool { left <= 0 }

    mutating func take(_ count: Int) {
        left -= count
    }
}
