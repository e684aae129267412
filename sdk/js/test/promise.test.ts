import { describe, expect, test, vi } from "vitest";

import { ProgressPromise } from "../src/promise.js";

function resolved(value: number): ProgressPromise<number, string> {
  return ProgressPromise.run(async (notify) => {
    notify("half");
    await Promise.resolve();
    notify("done");
    return value;
  });
}

function rejected(reason: unknown): ProgressPromise<number, string> {
  return ProgressPromise.run(() => Promise.reject(reason));
}

describe("ProgressPromise", () => {
  test("is awaited like any promise", async () => {
    expect(await resolved(7)).toBe(7);
    await expect(Promise.resolve(rejected(new Error("no")))).rejects.toThrow("no");
    expect(await Promise.all([resolved(1), resolved(2)])).toEqual([1, 2]);
  });

  test("has fail and progress on every promise that its methods return", async () => {
    const promise = resolved(1);
    const derived = [
      promise.then(),
      promise.then((value) => value),
      promise.catch(() => 0),
      promise.fail(() => 0),
      promise.finally(),
      promise.progress(() => undefined),
      promise.then(() => 2).then(() => 3),
      promise.catch(() => 0).then(() => 3),
    ];
    for (const each of derived) {
      expect(each).toBeInstanceOf(ProgressPromise);
      for (const method of ["then", "catch", "fail", "finally", "progress"] as const) {
        expect(typeof each[method]).toBe("function");
      }
      await each;
    }
  });

  test("runs fail only on rejection, with the reason, and goes on with what it returns", async () => {
    const never = vi.fn();
    expect(await resolved(1).fail(never)).toBe(1);
    expect(never).not.toHaveBeenCalled();
    const reason = new Error("no");
    const seen = vi.fn(() => 5);
    expect(await rejected(reason).fail(seen)).toBe(5);
    expect(seen).toHaveBeenCalledWith(reason);
  });

  test("passes a rejection through then to a later fail", async () => {
    const skipped = vi.fn();
    const caught = vi.fn();
    await rejected("why").then(skipped).then(skipped).fail(caught);
    expect(skipped).not.toHaveBeenCalled();
    expect(caught).toHaveBeenCalledWith("why");
  });

  test("turns an exception in a then callback into a rejection", async () => {
    const caught = vi.fn();
    await resolved(1)
      .then(() => {
        throw new Error("late");
      })
      .fail(caught);
    expect(caught.mock.calls[0]?.[0]).toMatchObject({ message: "late" });
  });

  test("tells progress to all listeners of a chain, wherever they hang", async () => {
    const heard: string[] = [];
    await resolved(1)
      .progress((step) => heard.push(`a ${step}`))
      .then(null, null, (step) => heard.push(`b ${step}`))
      .fail(() => 0)
      .progress((step) => heard.push(`c ${step}`));
    expect(heard).toEqual(["a half", "b half", "c half", "a done", "b done", "c done"]);
  });

  test("tells no progress once it has settled", async () => {
    const heard: string[] = [];
    let notify: (step: string) => void = () => undefined;
    const promise = ProgressPromise.run<number, string>(async (tell) => {
      notify = tell;
      return 1;
    });
    promise.progress((step) => heard.push(step));
    await promise;
    notify("late");
    promise.progress((step) => heard.push(step));
    notify("later");
    expect(heard).toEqual([]);
  });

  test("is not disturbed by a progress listener that throws", async () => {
    const complain = vi.spyOn(console, "error").mockImplementation(() => undefined);
    const promise = resolved(1).progress(() => {
      throw new Error("page");
    });
    expect(await promise).toBe(1);
    complain.mockRestore();
  });

  test("runs finally in both cases and keeps the outcome", async () => {
    const ran = vi.fn();
    expect(await resolved(3).finally(ran)).toBe(3);
    await rejected("x").finally(ran).fail(ran);
    expect(ran).toHaveBeenCalledTimes(3);
  });
});
