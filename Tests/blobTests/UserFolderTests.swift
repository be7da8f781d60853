// Where settings and notes lie.

@testable import BlobClient
import Foundation
import Testing

@testable import blob

struct UserFolderTests {
    @Test(arguments: [
        (environment: ["HOME": "/h"], configuration: "/h/.config", state: "/h/.local/state"),
        (["HOME": "/h", "XDG_STATE_HOME": "/s", "XDG_CONFIG_HOME": "/c"], "/c", "/s"),
        (["HOME": "/h", "XDG_STATE_HOME": "s", "XDG_CONFIG_HOME": ""], "/h/.config", "/h/.local/state"),
        (["HOME": "h"], NSHomeDirectory() + "/.config", NSHomeDirectory() + "/.local/state"),
        ([:], NSHomeDirectory() + "/.config", NSHomeDirectory() + "/.local/state"),
    ])
    func place(environment: [String: String], configuration: String, state: String) {
        #expect(UserFolder.configuration.path(environment) == configuration)
        #expect(UserFolder.state.path(environment) == state)
        #expect(UploadJournal.standard(environment).directory == state + "/blob/uploads")
    }
}
