import assert from "node:assert/strict";
import { test } from "node:test";
import { withServers } from "./grounds.ts";
import { aheadOfPeer, type Aim, atLeastTimes, atMost, atMostTimes, type Scenario } from "./scenario.ts";

test("withServers() adds the number of servers to each line, and keeps only the aims beside the peer", () => {
  const createLine = (what: string, aim: Aim | undefined) => ({ what, unit: "s", peer: "peer", aim }) as const;
  const readings = () => Promise.resolve({});
  const scenario: Scenario = {
    lines: {
      times: createLine("nodes", atMostTimes(0.5, "a half")),
      ahead: createLine("certificates", aheadOfPeer("ahead")),
      most: createLine("memory", atMost(90, "90 MB")),
      least: createLine("create", atLeastTimes(1.2)),
      none: createLine("idle", undefined),
    },
    ours: readings,
    theirs: readings,
  };
  const listAims = (servers: number) =>
    Object.values(withServers(servers, scenario).lines).map(({ what, aim }) => [what, aim?.text]);
  assert.deepEqual(listAims(3), [
    ["nodes, 3 servers", "a half"],
    ["certificates, 3 servers", "ahead"],
    ["memory, 3 servers", undefined],
    ["create, 3 servers", "1.2 ×"],
    ["idle, 3 servers", undefined],
  ]);
  assert.equal(listAims(1)[0]?.[0], "nodes, 1 server");
});
