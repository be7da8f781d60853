// Where a user's files lie.

import BlobClient
import Foundation

/// A folder of the XDG Base Directory Specification, version 0.8.
enum UserFolder {
    case configuration, state

    /// The folder that the variable names, if that is an absolute path. Otherwise the usual one below `$HOME`, or,
    /// where that is not an absolute path either, below the home folder in the system's list of users.
    func path(_ environment: [String: String]) -> String {
        func folder(_ name: String) -> String? { environment[name].flatMap { $0.hasPrefix("/") ? $0 : nil } }
        let home = folder("HOME") ?? NSHomeDirectory()
        return switch self {
        case .configuration: folder("XDG_CONFIG_HOME") ?? home + "/.config"
        case .state: folder("XDG_STATE_HOME") ?? home + "/.local/state"
        }
    }
}

extension UploadJournal {
    /// `$XDG_STATE_HOME/blob/uploads`, and `$HOME/.local/state/blob/uploads` without that.
    static var standard: UploadJournal { standard(ProcessInfo.processInfo.environment) }

    static func standard(_ environment: [String: String]) -> UploadJournal {
        UploadJournal(directory: UserFolder.state.path(environment) + "/blob/uploads")
    }
}
