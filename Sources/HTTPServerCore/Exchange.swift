// One request and its answer, while a connection is busy with them.

import NIOCore

/// What a connection knows of the request that it is handling. Belongs to the connection's event loop.
final class Exchange {
    let request: Request
    /// Of the request's body.
    var bytesIn: Int64 = 0
    private var isDeliveryScheduled = false

    init(_ request: Request) {
        self.request = request
    }

    var body: RequestBody { request.body }

    /// The bytes of the announced body that have not come; `nil` where its length was not told.
    var rest: Int64? { body.length.map { $0 - bytesIn } }

    /// A consumer waits for a chunk that has begun: it gets the bytes that come within a moment.
    func deliverSoon(on loop: any EventLoop) {
        guard !isDeliveryScheduled else { return }
        isDeliveryScheduled = true
        let this = NIOLoopBound(self, eventLoop: loop)
        loop.scheduleTask(in: .milliseconds(5)) {
            this.value.isDeliveryScheduled = false
            this.value.body.deliver()
        }
    }

    func ended(_ answer: Response, isComplete: Bool) -> EndedRequest {
        EndedRequest(request.record, answer, bytesIn: bytesIn, isComplete: isComplete)
    }
}
