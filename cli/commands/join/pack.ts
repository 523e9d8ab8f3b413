/** Creates a token for one node and packs it with all that the machine needs. */
import { Buffer } from "node:buffer";
import { resolve } from "node:path";
import { createFilePort } from "../../../client/files.ts";
import { formatJoinFile } from "../../../core/bootstrap/join_file.ts";
import { KUBELET_PATHS } from "../../../core/bootstrap/join_command.ts";
import { type NodeName, parseNodeName } from "../../../core/bootstrap/node_name.ts";
import { generateBootstrapToken } from "../../../core/bootstrap/token.ts";
import { BOOTSTRAP_TOKEN_USAGES } from "../../../core/bootstrap/token_secret.ts";
import { AppError } from "../../../core/errors.ts";
import { encodeTarFiles } from "../../../core/lib/tar.ts";
import { connect } from "../../api/connection.ts";
import { EXIT, type ExitCode } from "../../exit_code.ts";
import type { Input } from "../../framework/command.ts";
import { UsageError } from "../../framework/usage_error.ts";
import type { Io } from "../../io.ts";
import { FOLDER_MODE, SECRET_MODE } from "../../instance/data_dir.ts";
import { getDefaultSettings } from "../../instance/instance.ts";
import { displayPath } from "../../output/display_path.ts";
import { line } from "../../output/escape.ts";
import { BOOTSTRAP_FLAGS } from "../bootstrap/flags.ts";
import { systemdUnit } from "../bootstrap/command_words.ts";
import {
  assertKnownNodes,
  checkLists,
  findExpiration,
  postToken,
  readJoinTarget,
  readLimits,
  warnUnenforced,
  withdrawToken,
} from "../token/new_token.ts";
import type { JoinPackFlags } from "./flags.ts";
import { createPackFiles, PACK_JOIN_FILE } from "./layout.ts";

const INSTALLED_PROGRAM = "/usr/local/bin/tlsboot";

/** The action of the command `tlsboot join pack`. */
export async function run(input: Input<JoinPackFlags>, io: Io, signal: AbortSignal): Promise<ExitCode> {
  const { settings, args } = input;
  const node = parseNodeName(args[0] ?? "");
  if (!node.ok) throw new UsageError(node.error);
  checkLists(BOOTSTRAP_TOKEN_USAGES, settings.groups);
  const files = createFilePort();
  const out = settings.out ?? "";
  const path = resolve(io.cwd, out);
  if (await files.lstat(path) !== undefined) {
    throw new AppError("file_exists", `cannot write the pack "${path}": it exists`, {
      hint: "remove it, or choose another path with --out",
    });
  }
  const limits = await readLimits(settings, node.value, { files, cwd: io.cwd });
  await using connection = await connect(settings, io);
  const { api } = connection;
  await assertKnownNodes(api, [node.value], signal);
  const target = await readJoinTarget(api, settings, signal, io);
  const token = generateBootstrapToken(io.random);
  const expiration = findExpiration(settings, io.clock.now());
  await postToken(api, { token, limits, usages: BOOTSTRAP_TOKEN_USAGES, settings }, io, signal);
  const packed = createPackFiles({
    node: node.value,
    caPem: target.caPem,
    pins: target.pins,
    unit: createUnit(node.value),
    joinFile: formatJoinFile({
      node: node.value,
      target,
      token,
      fileName: PACK_JOIN_FILE,
      ...(expiration === undefined ? {} : { expiration }),
    }),
  });
  try {
    if (out.endsWith("/")) {
      await files.makeDirectory(path, FOLDER_MODE);
      for (const { path: name, text, mode } of packed) await files.createExclusive(resolve(path, name), text, mode);
    } else {
      const archive = encodeTarFiles(packed, Math.floor(io.clock.now().getTime() / 1000));
      await files.createExclusive(path, Buffer.from(archive).toString("utf8"), SECRET_MODE);
    }
  } catch (error) {
    await withdrawToken(api, token, signal);
    throw error;
  }
  io.stdout.write(line`${displayPath(path, io.cwd)}\n`);
  await warnUnenforced(api, limits, io, signal);
  return EXIT.done;
}

function createUnit(nodeName: NodeName): string {
  const { bootstrapKubeconfig, kubeconfig: kubeconfigPath, certDir } = KUBELET_PATHS;
  const settings = { ...getDefaultSettings(BOOTSTRAP_FLAGS), bootstrapKubeconfig };
  return systemdUnit(settings, { nodeName, kubeconfigPath, certDir }, { cwd: "/", execPath: INSTALLED_PROGRAM });
}
