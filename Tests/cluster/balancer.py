"""nginx before the nodes: each request goes to the next one, whatever went where before."""

from pathlib import Path

from harness.connection import Door
from harness.process import Process, free_ports

CONFIGURATION = """
daemon off;
master_process off;  # one process, which ends with this test
pid {folder}/pid;
error_log {folder}/error.log error;
events {{ worker_connections 4096; }}
http {{
    access_log off;
    client_max_body_size 0;
    client_body_temp_path {folder}/temporary;
    proxy_temp_path {folder}/temporary;
    fastcgi_temp_path {folder}/temporary;
    uwsgi_temp_path {folder}/temporary;
    scgi_temp_path {folder}/temporary;
    # An upload passes through as it comes, and so does a download; a failure is the client's to see.
    proxy_request_buffering off;
    proxy_buffering off;
    proxy_http_version 1.1;
    proxy_set_header Connection "";
    proxy_set_header Host $http_host;
    proxy_connect_timeout 2s;
    proxy_send_timeout 120s;
    proxy_read_timeout 120s;
    client_body_timeout 120s;
    keepalive_requests 100000;
{services}
}}
"""
SERVICE = """
    upstream {name} {{
{nodes}
        keepalive 32;
    }}
    server {{
        listen 127.0.0.1:{port};
        location / {{ proxy_pass http://{name}; }}
        location /api/blobs/uploads {{ proxy_pass http://{name}; proxy_next_upstream off; }}
    }}
"""


class Balancer(Process):
    """A port for all nodes, and one without each: as a balancer that watches its nodes' health would choose when one
    does not answer, at the moment that the test chooses."""

    def __init__(self, folder: Path, nodes: list[int]):
        (folder / "temporary").mkdir(parents=True)
        self._ports = free_ports(1 + len(nodes))
        services = []
        for index, port in enumerate(self._ports):
            lines = [f"        server 127.0.0.1:{node} max_fails=1 fail_timeout=1s;"
                     for number, node in enumerate(nodes) if number != index - 1]
            services.append(SERVICE.format(name=f"nodes_{index}", nodes="\n".join(lines), port=port))
        file = folder / "nginx.conf"
        file.write_text(CONFIGURATION.format(folder=folder, services="".join(services)))
        super().__init__(["/usr/sbin/nginx", "-c", file, "-p", folder, "-e", folder / "error.log"], folder / "nginx.log")
        self.wait_until_it_listens(self._ports[-1])

    def door(self, token: str, without: int | None = None) -> Door:
        return Door(self._ports[0 if without is None else 1 + without], token)
