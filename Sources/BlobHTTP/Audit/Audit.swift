// Records what callers change, and who was not let in, before anybody hears how it ended.

import BlobCore
public import BlobStorage
import HTTPServerCore
import HTTPTypes
import Logging
import Synchronization

/// Makes the records of the audit log.
///
/// While the log cannot be written, changes are refused before they are made. One that was made when its record could
/// not be kept is answered with an error, too, and its record follows when the log can be written again.
public final class Audit: Sendable {
    private let log: any AuditLog
    private let refusals = Mutex(RefusedCallers(since: .now))

    public init(_ log: any AuditLog) {
        self.log = log
    }

    /// - Throws: ``BlobError/Unavailability/auditUnwritable``.
    func admitChange() throws(BlobError) {
        guard log.isWritable else { throw BlobError(.unavailable(.auditUnwritable)) }
    }

    /// Keeps the record of a request that is about to be answered. Of one whose caller nobody knows there is none here.
    ///
    /// - Throws: ``BlobError/Unavailability/auditUnwritable`` when it could not be kept.
    func record(
        _ event: AuditRecord.Event?, of request: RequestRecord, _ status: HTTPResponse.Status
    ) async throws(BlobError) {
        guard let event else { return }
        let notes = request.metadata
        guard notes[AuditRecord.Fact.subject.rawValue] != nil else { return }
        var facts: [AuditRecord.Fact: Logger.MetadataValue] = [
            .status: .stringConvertible(status.code), .request: "\(request.id)",
        ]
        facts[.address] = request.clientAddress.map { "\($0)" }
        for fact in [AuditRecord.Fact.subject, .token, .upload, .file, .name, .digest, .size] {
            facts[fact] = notes[fact.rawValue]
        }
        guard await log.append(AuditRecord(event, failure: request.failure?.code, facts)) else {
            throw BlobError(.unavailable(.auditUnwritable))
        }
    }

    /// Keeps the record of a caller who was not let in, or counts it where there were too many of late.
    func refused(_ error: WireError, to request: RequestRecord) async {
        guard error.kind == .unauthorized else { return }
        guard refusals.withLock({ $0.isTold(request.clientAddress) }) else { return }
        var facts: [AuditRecord.Fact: Logger.MetadataValue] = [.request: "\(request.id)"]
        facts[.address] = request.clientAddress.map { "\($0)" }
        facts[.operation] = request.operation.map { "\($0)" }
        let record = AuditRecord(.signInRefused, failure: error.kind.row.code.rawValue, facts)
        if await !log.append(record) { refusals.withLock { $0.count(request.clientAddress) } }
    }

    /// Tells the number of callers who were not let in and have no record, of the time that is over.
    ///
    /// - Parameter isLast: whether none will follow, so that the time is over now.
    public func tellRefusals(isLast: Bool = false) async {
        guard let (counts, duration) = refusals.withLock({ $0.over(at: .now, isLast: isLast) }) else { return }
        for (address, count) in counts {
            var facts: [AuditRecord.Fact: Logger.MetadataValue] = [
                .count: .stringConvertible(count), .seconds: .stringConvertible(duration.components.seconds),
            ]
            facts[.address] = address.map { "\($0)" }
            let record = AuditRecord(.signInRefused, failure: ErrorKind.unauthorized.row.code.rawValue, facts)
            if await !log.append(record) { refusals.withLock { $0.count(address, count) } }
        }
    }
}

extension RequestRecord {
    /// Where a request comes from.
    fileprivate var clientAddress: String? { client?.description }
}
