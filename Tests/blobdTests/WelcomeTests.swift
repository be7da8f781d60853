// The lines of a start on standard output.

import Testing

@testable import blobd

struct WelcomeTests {
    @Test func laterStart() {
        let welcome = Welcome(
            address: ListenAddress(host: "127.0.0.1", port: 8887), selfSignedCertificate: nil, firstToken: nil,
            isSecure: false
        )
        #expect(welcome.text == "blobd is ready on http://127.0.0.1:8887")
    }

    @Test func behindAProxy() {
        let welcome = Welcome(
            address: ListenAddress(host: "127.0.0.1", port: 8887), publicURL: "https://pbx.example.com/files",
            selfSignedCertificate: nil, firstToken: nil, isSecure: false
        )
        #expect(
            welcome.text == """
                blobd is ready on http://127.0.0.1:8887
                Clients reach it at https://pbx.example.com/files
                """
        )
    }

    @Test func nodeWithoutTokens() {
        let welcome = Welcome(
            address: ListenAddress(host: "127.0.0.1", port: 8887), selfSignedCertificate: nil, firstToken: .missing,
            isSecure: false
        )
        #expect(
            welcome.text == """
                blobd is ready on http://127.0.0.1:8887
                There is no token yet. Make one, with the same settings: blobd token create NAME
                """
        )
    }

    @Test func firstStart() {
        let welcome = Welcome(
            address: ListenAddress(host: "::", port: 1), selfSignedCertificate: "/d/tls/certificate.pem",
            firstToken: .file("/it's here/admin-token"), isSecure: true
        )
        #expect(
            welcome.text == #"""
                blobd is ready on https://[::]:1
                For clients to trust, the certificate it made: /d/tls/certificate.pem
                A first token with all scopes is in /it's here/admin-token. Try it:
                  curl -i --cacert /d/tls/certificate.pem -X POST -H "Authorization: Bearer $(cat '/it'\''s here/admin-token')" 'https://[::1]:1/api/blobs/uploads?filename=hello.txt'
                Once you have tokens of your own, 'blobd token revoke admin' removes it and its file.
                """#
        )
    }
}
