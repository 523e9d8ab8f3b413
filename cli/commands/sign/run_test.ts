/** Checks that disk errors and kills while a folder is answered leave each request signed and recorded once. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { cp, mkdir, readFile, symlink, truncate, writeFile } from "node:fs/promises";
import { after, before, describe, test } from "node:test";
import { createFilePort, type FilePort } from "../../../client/files.ts";
import { isAppError } from "../../../core/errors.ts";
import { readAnswers } from "../../../core/offline/bundle.ts";
import type { Clock } from "../../../core/ports.ts";
import { createCapturedIo } from "../../../tests/support/captured_io.ts";
import { createDyingFiles, createFailingFiles, FILE_FAULTS, Killed } from "../../../tests/support/failing_files.ts";
import { createFakeClock } from "../../../tests/support/fake_clock.ts";
import { runCaptured } from "../../../tests/support/run_captured.ts";
import { createTempFolder, type TempFolder } from "../../../tests/support/temp.ts";
import { resolveSettings } from "../../framework/settings.ts";
import { createSystemClock, createSystemRandom, createTools } from "../../system.ts";
import { signCommand } from "./flags.ts";
import { signFolder } from "./run.ts";

/** More calls than any of these runs makes. */
const MAX_CALLS = 60;
/** The minimum number of calls that make a run fail, by how much of a write a fault completes. */
const MIN_FAILURES = { nothing: 6, half: 2, all: 4 };
const { signal } = new AbortController();

const COMMAND_LINE = { dataDir: ["ca"], server: ["https://10.0.0.1:6443"], yes: ["true"] };

/** A folder with a CA in `ca`, and the request of a machine in `stick`. */
let template: TempFolder;

describe("a folder of requests", () => {
  before(async () => {
    template = await createTempFolder();
    await mkdir(template.join("stick"));
    const options = { cwd: template.path, clock: createFakeClock(new Date()), random: createSystemRandom() };
    const run = async (args: string): Promise<void> =>
      assert.equal((await runCaptured(args.split(" "), options)).code, 0, args);
    await run("ca init --data-dir ca");
    await run("bootstrap --offline stick --kubeconfig n1/k --cert-dir n1/pki --hostname-override n1");
  });

  after(() => template[Symbol.asyncDispose]());

  interface Attempt {
    readonly code: number;
    readonly stderr: string;
  }

  /** Answers the stick in a copy of the template, with the given files. */
  async function sign(
    place: TempFolder,
    files: FilePort,
    clock: Clock = createFakeClock(new Date()),
  ): Promise<Attempt> {
    const io = createCapturedIo({ cwd: place.path, clock, random: createSystemRandom() });
    const resolved = resolveSettings(signCommand.flags, { commandLine: COMMAND_LINE, env: {} });
    assert.ok(resolved.ok, JSON.stringify(resolved));
    const { settings, origins } = resolved.value;
    const tools = { ...createTools(io, signal, false), files };
    const code = await signFolder({ settings, origins, args: ["stick"] }, tools);
    return { code, stderr: io.stderrText() };
  }

  /** Checks that the request has one record, and the answer on the stick has the recorded certificate. */
  async function assertAnswered(place: TempFolder, context: string): Promise<void> {
    const lines = (await readFile(place.join("ca", "issued.jsonl"), "utf8")).trim().split("\n");
    const bundle = readAnswers(await readFile(place.join("stick", "n1.answer.pem"), "utf8"));
    const [answer] = bundle.ok ? bundle.value.answers : [];
    assert.ok(answer?.outcome.kind === "issued", context);
    const given = answer.outcome.chain[0]?.sha256Fingerprint;
    assert.deepEqual(lines.map((line) => JSON.parse(line).spec.fingerprint), [given], context);
  }

  for (const fault of FILE_FAULTS) {
    test(`signFolder() on a disk or stick that fails with ${fault.name} at each call in turn signs a request once`, async () => {
      let failures = 0;
      for (let call = 0, isOver = false; !isOver; call++) {
        assert.ok(call < MAX_CALLS);
        await using place = await createTempFolder();
        await cp(template.path, place.path, { recursive: true });
        const failing = createFailingFiles(createFilePort(), call, fault);
        try {
          const { code, stderr } = await sign(place, failing.files);
          if (code !== 0) {
            failures++;
            assert.ok(stderr.includes(fault.text), stderr);
          }
        } catch (error) {
          assert.ok(isAppError(error) && error.message.includes(fault.text), String(error));
          failures++;
        }
        isOver = !failing.hasFailed();
        assert.equal((await sign(place, createFilePort())).code, 0, `after call ${call}`);
        await assertAnswered(place, `after call ${call}`);
      }
      assert.ok(failures >= MIN_FAILURES[fault.done], `${failures}`);
    });
  }

  test("signFolder() killed before each of its changes signs and records a request once", async () => {
    let kills = 0;
    for (let changes = 0, isOver = false; !isOver; changes++) {
      assert.ok(changes < MAX_CALLS);
      await using place = await createTempFolder();
      await cp(template.path, place.path, { recursive: true });
      try {
        await sign(place, createDyingFiles(createFilePort(), changes));
        isOver = true;
      } catch (error) {
        assert.ok(error instanceof Killed, String(error));
        kills++;
      }
      assert.equal((await sign(place, createFilePort())).code, 0, `after ${changes} changes`);
      await assertAnswered(place, `after ${changes} changes`);
    }
    assert.ok(kills >= 4, `${kills}`);
  });

  test("signFolder() in several runs at once signs and records a request once", async () => {
    await using place = await createTempFolder();
    await cp(template.path, place.path, { recursive: true });
    // A real clock, because a run waits for the lock of another run.
    const clock = createSystemClock();
    const runs = await Promise.all(Array.from({ length: 4 }, () => sign(place, createFilePort(), clock)));
    assert.deepEqual(runs.map(({ code }) => code), [0, 0, 0, 0], runs.map(({ stderr }) => stderr).join(""));
    await assertAnswered(place, "after all runs");
  });

  test("signFolder() does not read links, pipes and huge files on a stick, and answers the others", async () => {
    await using place = await createTempFolder();
    await cp(template.path, place.path, { recursive: true });
    await symlink("/dev/zero", place.join("stick", "link.request.pem"));
    execFileSync("mkfifo", [place.join("stick", "pipe.request.pem")]);
    await writeFile(place.join("stick", "huge.request.pem"), "");
    await truncate(place.join("stick", "huge.request.pem"), 2 ** 32);
    const { code, stderr } = await sign(place, createFilePort());
    assert.equal(code, 1);
    assert.match(stderr, /link\.request\.pem": it is a link, not a file\n.*hint: remove it from the folder/);
    assert.match(stderr, /pipe\.request\.pem": it is a pipe or a device, not a file\n/);
    assert.match(stderr, /huge\.request\.pem": it is larger than 1048576 bytes\n.*hint: remove it from the folder/);
    await assertAnswered(place, "next to files that are not read");
  });
});
