// Promises and timers whose queue belongs to the SDK.
//
// The contract with the host is synchronous: `handle` has to return before the engine would ever come to its own queue of jobs. So a plugin is
// bundled with its `async` functions written as generators over the global `Promise`, and in the sandbox that is the class below. The driver
// in `guest.js` runs its jobs until nothing can go on, and only then crosses to the host, with all calls that have gathered.
//
// Every job knows its depth: how long the chain of calls is that it has waited for. It follows from promises, so no author ever sees it.

const PENDING = 0;
const FULFILLED = 1;
const REJECTED = 2;

/** Under which a thenable of the SDK has its promise. */
export const INNER = Symbol("promise");

/** The depth of the job that runs now. */
export const current = { depth: 0 };

let queue = [];
let head = 0;
let timers = [];
let timerIds = 0;
/** Milliseconds that never run backwards; `globals.js` sets it. */
let clock = () => Date.now();

export function setClock(now) {
  clock = now;
}

/** Runs jobs until none is left. */
export function runJobs() {
  while (head < queue.length) {
    const job = queue[head];
    queue[head++] = undefined;
    current.depth = job.depth;
    job.run();
    if (head > 1024 && head * 2 > queue.length) {
      queue = queue.slice(head);
      head = 0;
    }
  }
  queue = [];
  head = 0;
}

/** Nothing of one request is left for the next one. */
export function reset() {
  queue = [];
  head = 0;
  timers = [];
  current.depth = 0;
}

/** Milliseconds until the next timer is due; `undefined` where there is none. */
export function untilTimer() {
  if (timers.length === 0) return undefined;
  const due = timers.reduce((least, timer) => Math.min(least, timer.due), Infinity);
  return Math.max(0, Math.ceil(due - clock()));
}

/** Makes jobs of the timers that are due; says whether there were any. */
export function fireTimers() {
  if (timers.length === 0) return false;
  const now = clock();
  const due = timers.filter((timer) => timer.due <= now).sort((a, b) => a.due - b.due || a.id - b.id);
  for (const timer of due) {
    if (timer.every === undefined) timers.splice(timers.indexOf(timer), 1);
    else timer.due = now + timer.every;
    queue.push({ depth: timer.depth, run: () => timer.run(...timer.values) });
  }
  return due.length > 0;
}

function addTimer(run, ms, every, values) {
  const id = ++timerIds;
  const wait = Math.max(0, Number(ms) || 0);
  timers.push({ id, run, due: clock() + wait, every: every ? Math.max(1, wait) : undefined, values, depth: current.depth });
  return id;
}

export const setTimeout = (run, ms, ...values) => addTimer(run, ms, false, values);
export const setInterval = (run, ms, ...values) => addTimer(run, ms, true, values);
export function clearTimeout(id) {
  timers = timers.filter((timer) => timer.id !== id);
}

export function queueMicrotask(run) {
  queue.push({ depth: current.depth, run });
}

class Reaction {
  constructor(derived, fulfilled, rejected) {
    this.derived = derived;
    this.fulfilled = fulfilled;
    this.rejected = rejected;
    this.depth = 0;
    this.source = undefined;
  }

  run() {
    const { source, derived } = this;
    const handler = source.state === FULFILLED ? this.fulfilled : this.rejected;
    if (handler === undefined) {
      if (derived === undefined) return;
      if (source.state === FULFILLED) derived.settle(FULFILLED, source.value);
      else derived.settle(REJECTED, source.value);
      return;
    }
    let value;
    try {
      value = handler(source.value);
    } catch (error) {
      derived?.settle(REJECTED, error);
      return;
    }
    derived?.resolve(value);
  }
}

/** An `async` function under way: esbuild has written it as a generator, which gives out what it awaits. */
class Task {
  constructor(generator) {
    this.generator = generator;
    this.promise = new Promise(NOTHING);
    this.depth = current.depth;
    this.source = undefined;
  }

  run() {
    this.step(this.source.state === REJECTED, this.source.value);
  }

  step(isError, value) {
    let next;
    try {
      next = isError ? this.generator.throw(value) : this.generator.next(value);
    } catch (error) {
      this.promise.settle(REJECTED, error);
      return;
    }
    if (next.done) this.promise.resolve(next.value);
    else Promise.resolve(next.value).wait(this);
  }
}

/** Runs an `async` function up to where it first waits. */
export function runAsync(generator) {
  const task = new Task(generator);
  task.step(false, undefined);
  return task.promise;
}

/** A promise as the standard has it, but for subclasses: `then` always gives a plain one. */
export class Promise {
  constructor(executor) {
    this.state = PENDING;
    this.value = undefined;
    this.depth = 0;
    this.reactions = undefined;
    this.isLocked = false;
    if (executor === undefined) throw new TypeError("Promise resolver undefined is not a function");
    if (executor === NOTHING) return;
    let isDone = false;
    const once = (finish) => (value) => {
      if (isDone) return;
      isDone = true;
      finish.call(this, value);
    };
    try {
      executor(once(this.resolve), once(this.reject));
    } catch (error) {
      once(this.reject)(error);
    }
  }

  then(fulfilled, rejected) {
    const derived = new Promise(NOTHING);
    this.react(
      derived,
      typeof fulfilled === "function" ? fulfilled : undefined,
      typeof rejected === "function" ? rejected : undefined,
    );
    return derived;
  }

  catch(rejected) {
    return this.then(undefined, rejected);
  }

  finally(run) {
    if (typeof run !== "function") return this.then(run, run);
    return this.then(
      (value) => Promise.resolve(run()).then(() => value),
      (error) => Promise.resolve(run()).then(() => { throw error; }),
    );
  }

  /** @internal */
  react(derived, fulfilled, rejected) {
    this.wait(new Reaction(derived, fulfilled, rejected));
  }

  /** @internal Something that runs when this is settled. */
  wait(reaction) {
    reaction.depth = current.depth;
    if (this.state === PENDING) {
      if (this.reactions === undefined) this.reactions = [reaction];
      else this.reactions.push(reaction);
    } else {
      this.enqueue(reaction);
    }
  }

  /** @internal */
  enqueue(reaction) {
    reaction.source = this;
    if (this.depth > reaction.depth) reaction.depth = this.depth;
    queue.push(reaction);
  }

  /** @internal */
  settle(state, value, depth = current.depth) {
    if (this.state !== PENDING) return;
    this.state = state;
    this.value = value;
    this.depth = depth;
    const reactions = this.reactions;
    if (reactions === undefined) return;
    this.reactions = undefined;
    for (const reaction of reactions) this.enqueue(reaction);
  }

  /** @internal */
  resolve(value) {
    if (this.isLocked) return;
    if (value === null || (typeof value !== "object" && typeof value !== "function")) {
      this.settle(FULFILLED, value);
      return;
    }
    if (value === this) {
      this.settle(REJECTED, new TypeError("a promise can't wait for itself"));
      return;
    }
    const inner = value instanceof Promise ? value : value[INNER];
    if (inner instanceof Promise) {
      this.isLocked = true;
      inner.react(this, undefined, undefined);
      return;
    }
    let then;
    try {
      then = value.then;
    } catch (error) {
      this.settle(REJECTED, error);
      return;
    }
    if (typeof then !== "function") {
      this.settle(FULFILLED, value);
      return;
    }
    this.isLocked = true;
    queueMicrotask(() => {
      let isDone = false;
      const once = (finish) => (value) => {
        if (isDone) return;
        isDone = true;
        this.isLocked = false;
        finish.call(this, value);
      };
      try {
        then.call(value, once(this.resolve), once(this.reject));
      } catch (error) {
        once(this.reject)(error);
      }
    });
  }

  /** @internal */
  reject(error) {
    if (!this.isLocked) this.settle(REJECTED, error);
  }

  /** @internal An outcome from outside, with the depth that it has. */
  deliver(isGood, value, depth) {
    this.settle(isGood ? FULFILLED : REJECTED, value, depth);
  }

  get [Symbol.toStringTag]() {
    return "Promise";
  }

  static resolve(value) {
    if (value instanceof Promise) return value;
    const inner = value?.[INNER];
    if (inner instanceof Promise) return inner;
    const promise = new Promise(NOTHING);
    promise.resolve(value);
    return promise;
  }

  /** @internal One that is settled by `deliver`. */
  static pending() {
    return new Promise(NOTHING);
  }

  static reject(error) {
    const promise = new Promise(NOTHING);
    promise.reject(error);
    return promise;
  }

  static withResolvers() {
    let resolve, reject;
    const promise = new Promise((a, b) => { resolve = a; reject = b; });
    return { promise, resolve, reject };
  }

  static try(run, ...values) {
    return new Promise((resolve) => resolve(run(...values)));
  }

  static all(values) {
    return gather(values, (outcome, place, value) => { outcome[place] = value; }, undefined);
  }

  static allSettled(values) {
    return gather(
      values,
      (outcome, place, value) => { outcome[place] = { status: "fulfilled", value }; },
      (outcome, place, reason) => { outcome[place] = { status: "rejected", reason }; },
    );
  }

  static race(values) {
    return new Promise((resolve, reject) => {
      for (const value of values) Promise.resolve(value).then(resolve, reject);
    });
  }

  static any(values) {
    const turned = Promise.all(Array.from(values, (value) => Promise.resolve(value).then(
      (value) => { throw { value }; },
      (error) => error,
    )));
    return turned.then(
      (errors) => { throw new AggregateError(errors, "All promises were rejected"); },
      (found) => found.value,
    );
  }
}

/** An executor that does nothing, known by its identity. */
function NOTHING() {}

/** Waits for all; what it gives is as deep as the deepest of them. */
function gather(values, fulfilled, rejected) {
  const whole = new Promise(NOTHING);
  let items;
  try {
    items = [...values];
  } catch (error) {
    whole.reject(error);
    return whole;
  }
  const outcome = new Array(items.length);
  let left = items.length;
  let deepest = current.depth;
  const one = (put, place) => (value) => {
    put(outcome, place, value);
    if (current.depth > deepest) deepest = current.depth;
    if (--left === 0) whole.settle(FULFILLED, outcome, deepest);
  };
  const fail = rejected === undefined ? (error) => whole.settle(REJECTED, error) : undefined;
  for (let place = 0; place < items.length; place++) {
    Promise.resolve(items[place]).react(undefined, one(fulfilled, place), fail ?? one(rejected, place));
  }
  if (left === 0) whole.settle(FULFILLED, outcome);
  return whole;
}
