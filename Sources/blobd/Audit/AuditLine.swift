// A record of the audit log as a line of it.

import BlobCore
import BlobStorage
import Foundation
import Glibc
import Logging

extension AuditRecord {
    /// One JSON object and a line feed: `time`, `event`, `outcome` (`ok`, or the error's code), and the facts.
    func line(at time: LogTime) -> [UInt8] {
        var line = LogLine()
        line.append(#"{"time":""#)
        line.append(time)
        line.append(UInt8(ascii: "\""))
        line.appendMember("event", "\(event.rawValue)")
        line.appendMember("outcome", "\(failure ?? "ok")")
        for fact in Fact.allCases {
            guard let value = facts[fact] else { continue }
            line.appendMember(fact.rawValue, value)
        }
        line.append("}\n")
        return line.bytes
    }

    /// What this process did to a token by itself, for the user that it runs as.
    init(_ event: Event, _ token: AccessToken) {
        let scopes = Scope.allCases.filter(token.scopes.contains).map(\.rawValue).joined(separator: ",")
        self.init(
            event,
            [
                .subject: "\(token.subject)", .token: "\(token.name)", .scopes: "\(scopes)",
                .expires: "\(token.expires?.formatted(.iso8601) ?? "never")", .uid: .stringConvertible(getuid()),
            ])
    }
}
