/** Plays scenes against two servers and records where their answers differ. */
import type { Difference } from "../comparison/compare.ts";
import type { CorpusFile, Exchange } from "../comparison/corpus.ts";
import { buildFixtures, openSessions, preparePair, replayExchange } from "../comparison/replay.ts";
import type { Pair } from "../comparison/sides.ts";
import type { Variables } from "../comparison/variables.ts";
import { createScene, FIXTURES, LANES, type Scene } from "./scenes.ts";

/** An exchange with different answers. */
export interface Finding {
  readonly scene: Scene;
  /** The index of the exchange in the scene. */
  readonly at: number;
  readonly exchange: Exchange;
  /** The status of each side, 0 if there was no answer. */
  readonly statuses: readonly [number, number];
  readonly differences: readonly Difference[];
}

export interface Played {
  /** The number of compared exchanges. */
  readonly compared: number;
  readonly findings: readonly Finding[];
}

/** A prepared pair of servers. Each replay of a scene has its own object names. */
export class Stage {
  #replays = 0;
  readonly #pair: Pair;
  readonly #fixtures: Variables;

  private constructor(pair: Pair, fixtures: Variables) {
    this.#pair = pair;
    this.#fixtures = fixtures;
  }

  /** Creates the objects that all scenes need on both servers. */
  static async open(pair: Pair): Promise<Stage> {
    await preparePair(pair);
    return new Stage(pair, await buildFixtures(FIXTURES));
  }

  /** Plays the scenes of a seed until `count` exchanges were compared. */
  async playMany(seed: number, count: number): Promise<Played> {
    const lanes = Array.from({ length: LANES }, () => 0);
    let compared = 0;
    const findings: Finding[] = [];
    await Promise.all(lanes.map(async (_, lane) => {
      // Each lane has an equal share, so the choice of scenes does not depend on the speed of the servers.
      let share = 0;
      for (let index = lane; share < count / LANES; index += LANES) {
        const played = await this.play(createScene(seed, index));
        share += played.compared;
        compared += played.compared;
        findings.push(...played.findings);
      }
    }));
    return { compared, findings: findings.toSorted((a, b) => a.scene.index - b.scene.index || a.at - b.at) };
  }

  /**
   * Plays one scene. It ends after a write with different answers that a server has accepted, because the objects of
   * the servers may differ from there on.
   */
  async play(scene: Scene): Promise<Played> {
    this.#replays++;
    const name = `d${String(this.#replays).padStart(5, "0")}`;
    const file = toCorpusFile(scene, name);
    const variables = { ...this.#fixtures, scene: name, rv: "1", uid: "a", more: "x" };
    const sessions = await openSessions(this.#pair, file, variables);
    const findings: Finding[] = [];
    for (const exchange of scene.setup) await replayExchange(sessions, file, exchange, []);
    for (const [at, exchange] of scene.exchanges.entries()) {
      const { statuses, differences } = await this.#compare(sessions, file, exchange);
      if (differences.length === 0) continue;
      findings.push({ scene, at, exchange, statuses, differences });
      const isRead = /^(GET|HEAD) /.test(exchange.send);
      if (!isRead && statuses.some((status) => status < 400)) return { compared: at + 1, findings };
    }
    return { compared: scene.exchanges.length, findings };
  }

  async #compare(
    sessions: Awaited<ReturnType<typeof openSessions>>,
    file: CorpusFile,
    exchange: Exchange,
  ): Promise<Pick<Finding, "statuses" | "differences">> {
    try {
      const [verdict] = await replayExchange(sessions, file, exchange, []);
      if (verdict === undefined) throw new Error(`${exchange.id}: no verdict`);
      return { statuses: [verdict.status, verdict.ourStatus], differences: verdict.unintended };
    } catch (error) {
      // Without an answer from either server there is nothing to compare.
      const message = error instanceof Error ? error.message : String(error);
      return { statuses: [0, 0], differences: [{ path: "error", "kube-apiserver": undefined, tlsboot: message }] };
    }
  }
}

/** Converts a scene to a corpus file; literal values in it are never blanked. */
function toCorpusFile({ seed, index, exchanges, setup }: Scene, name: string): CorpusFile {
  return {
    name: `seed ${seed}, scene ${index}`,
    title: "",
    requests: {},
    certificates: {},
    exchanges,
    text: JSON.stringify([...setup, ...exchanges]).replaceAll("${scene}", name),
  };
}
