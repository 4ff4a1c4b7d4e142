// A list of any length, of which only what is seen is in the document.

"use strict";

// Browsers cannot lay out anything taller than about this; beyond it a pixel of scrolling is several of the list.
const TALLEST = 8_000_000;

class List {
  // `fill(element, index)` shows a row in an element, which is used again for others; `chosen(index)` is called
  // when the user chooses one.
  constructor(parent, { label, rowHeight, fill, chosen, opened = chosen, scrolled = () => {} }) {
    Object.assign(this, { rowHeight, fill, chosen, opened, scrolled, count: 0, current: -1, pool: [] });
    this.window = el("div", { className: "window" });
    this.spacer = el("div", { className: "spacer" }, this.window);
    this.scroller = el("div", { className: "scroller", tabIndex: 0 }, this.spacer);
    this.scroller.setAttribute("role", "listbox");
    this.scroller.setAttribute("aria-label", label);
    parent.append(this.scroller);
    this.id = parent.id;
    this.scroller.addEventListener("scroll", () => this.later());
    this.scroller.addEventListener("keydown", (event) => this.key(event));
    this.window.addEventListener("click", (event) => {
      const row = event.target.closest("[role=option]");
      if (row) this.choose(Number(row.dataset.index), true);
    });
    new ResizeObserver(() => this.draw()).observe(this.scroller);
  }

  set(count, current = -1) {
    this.count = count;
    this.current = current;
    this.draw();
  }

  later() {
    this.waiting ??= requestAnimationFrame(() => this.draw());
  }

  // How many pixels of the list a pixel of scrolling is: both ends are reached.
  measure() {
    const view = this.scroller.clientHeight;
    const full = this.count * this.rowHeight;
    const tall = Math.min(full, TALLEST);
    return { view, full, tall, scale: tall > view ? (full - view) / (tall - view) : 1 };
  }

  draw() {
    cancelAnimationFrame(this.waiting);
    this.waiting = undefined;
    const { view, full, tall, scale } = this.measure();
    this.spacer.style.height = `${tall}px`;
    this.window.style.height = `${Math.min(view, tall)}px`;
    const top = Math.max(0, Math.min(this.scroller.scrollTop * scale, full - view));
    this.first = Math.floor(top / this.rowHeight);
    const shown = Math.min(Math.ceil(view / this.rowHeight) + 1, this.count - this.first);
    this.last = this.first + shown - 1;
    while (this.pool.length < shown) {
      const made = el("div", { className: "cells" });
      made.setAttribute("role", "option");
      this.pool.push(made);
      this.window.append(made);
    }
    while (this.pool.length > Math.max(shown, 0)) this.pool.pop().remove();
    this.pool.forEach((element, place) => this.show(element, this.first + place, place * this.rowHeight - (top % this.rowHeight)));
    const current = this.pool[this.current - this.first];
    if (current) this.scroller.setAttribute("aria-activedescendant", current.id);
    else this.scroller.removeAttribute("aria-activedescendant");
    this.scrolled();
  }

  show(element, index, y) {
    element.style.transform = `translateY(${y}px)`;
    element.id = `${this.id}-${index}`;
    element.dataset.index = index;
    element.setAttribute("aria-setsize", this.count);
    element.setAttribute("aria-posinset", index + 1);
    element.setAttribute("aria-selected", index === this.current);
    this.fill(element, index);
  }

  choose(index, open = false, amid = false) {
    if (index < 0 || index >= this.count) return;
    this.current = index;
    this.reveal(index, amid);
    (open ? this.opened : this.chosen)(index);
  }

  // Bring a row in sight; with `amid` what is around it as well, unless it is in sight already.
  reveal(index, amid = false) {
    const { view, scale } = this.measure();
    const y = index * this.rowHeight;
    const top = this.scroller.scrollTop * scale;
    const isInSight = y >= top && y + this.rowHeight <= top + view;
    if (amid && !isInSight) this.scroller.scrollTop = (y - view / 2) / scale;
    else if (y < top) this.scroller.scrollTop = y / scale;
    else if (y + this.rowHeight > top + view) this.scroller.scrollTop = Math.ceil((y + this.rowHeight - view) / scale);
    this.draw();
  }

  get isAtEnd() {
    return this.last >= this.count - 1;
  }

  key(event) {
    const page = Math.max(1, Math.floor(this.scroller.clientHeight / this.rowHeight) - 1);
    const step = { ArrowUp: -1, ArrowDown: 1, PageUp: -page, PageDown: page, Home: -Infinity, End: Infinity }[event.key];
    if (event.key === "Enter" && this.current >= 0) this.opened(this.current);
    else if (step === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
    else this.choose(Math.max(0, Math.min(this.count - 1, (this.current < 0 ? this.first - 1 : this.current) + step)));
    event.preventDefault();
  }
}
