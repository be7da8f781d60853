// Which proxy requests go through: the flag, or the variables of the environment that curl and others go by.

import BlobClient
import Foundation

/// `--proxy`, then `https_proxy` and `HTTPS_PROXY` or `http_proxy`, then `all_proxy` and `ALL_PROXY`; none for servers
/// that `no_proxy` or `NO_PROXY` names. `HTTP_PROXY` is not looked at: under CGI a client's header sets it.
struct ProxyChoice: Sendable {
    /// As `--proxy` gives it; `none` for none.
    var flag: String?
    var environment: [String: String]

    /// - Throws: ``UsageProblem`` for a proxy that cannot be used.
    func proxy(for address: String) throws(UsageProblem) -> BlobServiceClient.Configuration.Proxy? {
        if let flag { return flag == "none" ? nil : try Self.parsed(flag, from: "--proxy") }
        guard let server = URLComponents(string: address), let host = server.host?.lowercased() else { return nil }
        let isSecure = server.scheme?.lowercased() == "https"
        let names = (isSecure ? ["https_proxy", "HTTPS_PROXY"] : ["http_proxy"]) + ["all_proxy", "ALL_PROXY"]
        guard let name = names.first(where: { environment[$0] != nil }), let value = environment[name], !value.isEmpty,
            !isLeftOut(host, port: server.port ?? (isSecure ? 443 : 80))
        else { return nil }
        return try Self.parsed(value, from: name)
    }

    private func isLeftOut(_ host: String, port: Int) -> Bool {
        let list = environment["no_proxy"] ?? environment["NO_PROXY"] ?? ""
        return list.lowercased().split { $0 == "," || $0 == " " }.contains { entry in
            if entry == "*" { return true }
            var name = entry.drop { $0 == "." }
            // An address of IPv6 has colons of its own.
            if let colon = name.lastIndex(of: ":"), name.firstIndex(of: ":") == colon {
                guard Int(name[name.index(after: colon)...]) == port else { return false }
                name = name[..<colon]
            }
            let plain = host.trimmingCharacters(in: ["[", "]"])
            return !name.isEmpty && (plain == name || plain.hasSuffix("." + name))
        }
    }

    private static func parsed(_ text: String, from source: String) throws(UsageProblem)
        -> BlobServiceClient.Configuration.Proxy
    {
        let url = URLComponents(string: text.contains("://") ? text : "http://" + text)
        guard let url, let host = url.host, !host.isEmpty, ["", "/"].contains(url.path), url.query == nil else {
            throw UsageProblem("\(source): a proxy is given as http://HOST:PORT, and this is none")
        }
        guard url.scheme?.lowercased() == "http" else {
            throw UsageProblem(
                "\(source): only proxies that are spoken to by http:// are known; servers may have https://")
        }
        guard let port = url.port, (1...65_535).contains(port) else {
            throw UsageProblem("\(source): which port has the proxy? Give http://HOST:PORT")
        }
        let credentials = url.user.map { "\($0):\(url.password ?? "")" }
        return BlobServiceClient.Configuration.Proxy(
            host: host.trimmingCharacters(in: ["[", "]"]), port: port, credentials: credentials)
    }
}
