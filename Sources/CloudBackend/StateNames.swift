// The states of rows, by name in SQL as in Swift: `{live}` in a statement is the number of that state.

import BlobStorage

/// The state of a content of a digest.
enum ContentState: Int64, CaseIterable {
    /// Complete, and named by no blob yet.
    case published
    /// The bytes of a blob.
    case live
    /// Damaged, and kept for an administrator to look at.
    case quarantined
    /// Removed; its objects stay while the database may be restored to a time before.
    case removed
}

enum StateNames {
    static let numbers: [String: Int64] = {
        var numbers: [String: Int64] = [:]
        for state in StoredUploadState.allCases { numbers["\(state)"] = state.rawValue }
        for state in ContentState.allCases { numbers["\(state)"] = state.rawValue }
        for condition in BlobCondition.allCases { numbers["\(condition)"] = condition.rawValue }
        return numbers
    }()

    /// The statement with the numbers of the states that it names.
    static func resolved(_ sql: String) -> String {
        sql.replacing(/\{(\w+)\}/) { match in
            guard let number = numbers[String(match.1)] else { preconditionFailure("\(match.0) is no state") }
            return String(number)
        }
    }
}
