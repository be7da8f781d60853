// The time by which something must have happened on a connection.

import NIOCore

/// One deadline at a time. Belongs to the connection's event loop.
///
/// Deadlines come and go with every request, and hardly any is ever missed. So a timer that is set stays set: when it
/// fires, it looks at the deadline that holds by then.
final class ConnectionDeadline {
    private struct Due {
        let time: NIODeadline
        let action: () -> Void
    }

    private var due: Due?
    private var timer: (time: NIODeadline, scheduled: Scheduled<Void>)?
    /// Whether it is a request's head that is awaited.
    private(set) var isForHeaders = false

    var isRunning: Bool { due != nil }

    /// Sets the deadline in the place of any other.
    func start(
        after delay: TimeAmount, on loop: any EventLoop, isForHeaders: Bool = false, _ action: @escaping () -> Void
    ) {
        let time = NIODeadline.now() + delay
        due = Due(time: time, action: action)
        self.isForHeaders = isForHeaders
        if let timer, timer.time <= time { return }
        timer?.scheduled.cancel()
        setTimer(for: time, on: loop)
    }

    /// Lifts the deadline.
    func cancel() {
        due = nil
        isForHeaders = false
    }

    /// Lifts the deadline for good.
    func end() {
        cancel()
        timer?.scheduled.cancel()
        timer = nil
    }

    private func setTimer(for time: NIODeadline, on loop: any EventLoop) {
        let this = NIOLoopBound(self, eventLoop: loop)
        let scheduled = loop.scheduleTask(deadline: time) { this.value.fire(on: loop) }
        timer = (time, scheduled)
    }

    private func fire(on loop: any EventLoop) {
        timer = nil
        guard let due else { return }
        guard due.time <= .now() else { return setTimer(for: due.time, on: loop) }
        cancel()
        due.action()
    }
}
