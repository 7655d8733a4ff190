// Dark or light: the system's, or what was chosen, which is remembered.
const KEY = "feagi-state theme";

function remembered() {
    try {
        return localStorage.getItem(KEY) ?? "";
    } catch {
        return ""; // storage is refused
    }
}

/** Lets a select choose the theme: "", "light" or "dark". */
export function themeBy(select) {
    const show = () => (document.documentElement.dataset.theme = select.value);
    select.value = remembered();
    show();
    select.addEventListener("change", () => {
        show();
        try {
            localStorage.setItem(KEY, select.value);
        } catch {
            // It holds until the page is left.
        }
    });
}
