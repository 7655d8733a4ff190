// What a person sees of the page host/web/page/ and does there, for tests of it.

/** Waits for a state of the board. */
export const badge = (page, state) => page.waitForFunction((wanted) => document.getElementById("badge").textContent.startsWith(wanted), state);

/** Waits until what a selector finds holds a text. */
export const shows = (page, selector, wanted) =>
    page.waitForFunction(([where, what]) => document.querySelector(where)?.textContent.includes(what), [selector, wanted]);

export const text = (page, selector) => page.locator(selector).innerText();
export const rowOf = (name) => `#fields tr:has(th:text-is("${name}"))`;
export const valueOf = (page, name) => text(page, `${rowOf(name)} .value`);
export const setter = (page, name) => page.getByLabel(`New value of ${name}`);

/** Presses a button and puts what is downloaded into a file. The name that it was given. */
export async function saveDownload(page, button, file) {
    const [download] = await Promise.all([page.waitForEvent("download"), page.getByRole("button", { name: button }).click()]);
    await download.saveAs(file);
    return download.suggestedFilename();
}

/** Collects what scripts of the page failed with, and what its policy refused. */
export function listen(page, faults) {
    page.on("pageerror", (error) => faults.push(String(error)));
    page.on("console", (message) => message.type() === "error" && faults.push(message.text()));
}

export function contains(got, part) {
    if (!got.includes(part)) {
        throw new Error(`got ${JSON.stringify(got)}, expected it to contain ${JSON.stringify(part)}`);
    }
}
