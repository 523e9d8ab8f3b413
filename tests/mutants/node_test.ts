/**
 * A small `node:test` for the workers: tests are kept as functions, so that the same test can run again and again. It has
 * what the tests of the tree use: `test`, `describe`, the four hooks, and `t.test`.
 */
type Body = (context: TestContext) => unknown;
type Hook = () => unknown;

/** What a test is given. */
export interface TestContext {
  readonly name: string;
  test(name: string, ...rest: readonly (Body | object)[]): Promise<void>;
}

/** One test of a file. */
export interface RegisteredTest {
  readonly name: string;
  readonly group: Group;
  readonly run: () => Promise<void>;
}

/** The tests of a file or of a `describe` share their hooks. */
export interface Group {
  readonly file: string;
  readonly before: Hook[];
  readonly after: Hook[];
  readonly beforeEach: Hook[];
  readonly afterEach: Hook[];
  readonly parent: Group | undefined;
}

const registered: RegisteredTest[] = [];
let group: Group = createGroup("", undefined);
let prefix = "";

/** Loads a test file and returns its tests. */
export async function loadTests(file: string, load: () => Promise<unknown>): Promise<readonly RegisteredTest[]> {
  const first = registered.length;
  group = createGroup(file, undefined);
  await load();
  return registered.slice(first);
}

/** A group with those around it, the outermost first. */
export function listGroups(innermost: Group): readonly Group[] {
  return innermost.parent === undefined ? [innermost] : [...listGroups(innermost.parent), innermost];
}

function createGroup(file: string, parent: Group | undefined): Group {
  return { file, before: [], after: [], beforeEach: [], afterEach: [], parent };
}

export function test(name: string, ...rest: readonly (Body | object)[]): void {
  const [body, own] = [findBody(rest), group];
  const run = async () => {
    const groups = listGroups(own);
    for (const hook of groups.flatMap(({ beforeEach }) => beforeEach)) await hook();
    try {
      await body(createContext(name));
    } finally {
      for (const hook of groups.flatMap(({ afterEach }) => afterEach)) await hook();
    }
  };
  registered.push({ name: prefix + name, group: own, run });
}

export function describe(name: string, ...rest: readonly (Body | object)[]): void {
  const outer = { group, prefix };
  group = createGroup(group.file, group);
  prefix = `${prefix}${name} > `;
  try {
    findBody(rest)(createContext(name));
  } finally {
    ({ group, prefix } = outer);
  }
}

export function before(hook: Hook): void {
  group.before.push(hook);
}

export function after(hook: Hook): void {
  group.after.push(hook);
}

export function beforeEach(hook: Hook): void {
  group.beforeEach.push(hook);
}

export function afterEach(hook: Hook): void {
  group.afterEach.push(hook);
}

export { describe as suite, test as it };
export default test;

function createContext(name: string): TestContext {
  return { name, test: async (inner, ...rest) => void await findBody(rest)(createContext(inner)) };
}

/** Options may come before the body. */
function findBody(rest: readonly (Body | object)[]): Body {
  const body = rest.find((value) => typeof value === "function");
  if (body === undefined) throw new Error("a test without a body");
  return body as Body;
}
