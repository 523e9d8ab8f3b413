/** Tests that a process at its limit of open files serves, writes, and logs only a few lines. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { runTlsboot, start, tlsbootCommand } from "../support/child.ts";
import { ask } from "../support/https_request.ts";
import { openRaw, type RawConnection, until } from "../support/raw_http2.ts";
import { createTempFolder } from "../support/temp.ts";

const OPEN_FILES = 200;

test("tlsboot up with a limit of 200 open files is ready and writes while 400 unauthenticated clients connect", async () => {
  await using folder = await createTempFolder();
  const data = folder.join("data");
  const [command, args] = tlsbootCommand(["up", "--secure-port", "0", "--data-dir", data]);
  await using server = start("sh", ["-c", `ulimit -n ${OPEN_FILES}; exec "$@"`, "sh", command, ...args]);
  const [, port = ""] = await server.waitFor(/tlsboot is up at https:\S+:(\d+)[^]*Next, in another terminal/);
  const connections: RawConnection[] = [];
  for (let index = 0; index < 400; index++) connections.push(await openRaw(Number(port), "h2"));
  assert.equal((await ask({ port, path: "/readyz", rejectUnauthorized: false })).code, 200);
  const created = await runTlsboot(["token", "create", "--data-dir", data], { cwd: folder.path });
  assert.equal(created.code, 0, created.stderr);
  await until("the surplus connections are closed", () => connections.filter((one) => one.isClosed()).length > 200);
  const lines = server.stderr().split("\n").filter((line) => line.includes("too many connections"));
  // The log has at most twenty lines per ten seconds, and a count of the omitted ones (`server/log_limiter.ts`).
  assert.ok(lines.length >= 1 && lines.length < 200, `${lines.length} lines`);
  for (const one of connections) one[Symbol.dispose]();
});
