/**
 * A small `node:test` for the workers, which keeps the tests of a file as functions that run one by one. It has the
 * parts that the rooms' tests use: `test`, `describe`, `before`, `after`, `t.test` and `t.after`.
 */
type Hook = () => unknown;
type Body = (context: TestContext) => unknown;
/** The body of a test, after its options if it has any. */
type Rest = readonly [Body] | readonly [object, Body];

export interface TestContext {
  after(hook: Hook): void;
  test(name: string, ...rest: Rest): Promise<void>;
}

interface RegisteredTest {
  readonly name: string;
  /** Runs the test between the hooks of the groups around it. */
  readonly run: () => Promise<void>;
}

let registered: RegisteredTest[] = [];
/** The hooks of the file and of each `describe` around the next test. */
let groups: readonly { readonly before: Hook[]; readonly after: Hook[] }[] = [];

/** Loads a test file and returns its tests. */
export async function loadTests(load: () => Promise<unknown>): Promise<readonly RegisteredTest[]> {
  registered = [];
  groups = [{ before: [], after: [] }];
  await load();
  return registered;
}

export function test(name: string, ...rest: Rest): void {
  const around = groups;
  const run = async (): Promise<void> => {
    const own: Hook[] = [];
    try {
      for (const hook of around.flatMap(({ before }) => before)) await hook();
      await findBody(rest)(createContext(own));
    } finally {
      for (const hook of [...own, ...around.flatMap(({ after }) => after)]) await hook();
    }
  };
  registered.push({ name, run });
}

export function describe(_name: string, ...rest: Rest): void {
  const outer = groups;
  groups = [...outer, { before: [], after: [] }];
  findBody(rest)(createContext([]));
  groups = outer;
}

export function before(hook: Hook): void {
  groups.at(-1)!.before.push(hook);
}

export function after(hook: Hook): void {
  groups.at(-1)!.after.push(hook);
}

function createContext(hooks: Hook[]): TestContext {
  return {
    after: (hook) => void hooks.push(hook),
    test: async (_name, ...rest) => void await findBody(rest)(createContext(hooks)),
  };
}

function findBody(rest: Rest): Body {
  return rest.length === 1 ? rest[0] : rest[1];
}
