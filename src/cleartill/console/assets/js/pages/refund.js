// @ts-check
/** A refund has no page of its own: it is told with its payment, and marked there. */
import { api } from "../api.js";
import { fill, h } from "../dom.js";
import { skeleton } from "../parts/skeleton.js";
import { go } from "../router.js";

export const title = "Refund";

/** Goes on to the refund's payment. */
export async function show(main, { params, signal }) {
  fill(main, h("div", { class: "page-head" }, h("h1", title)), skeleton(4));
  const { id, transaction_id: payment } = await api.get(
    `/api/v1/refunds/${encodeURIComponent(params.id)}`,
    {},
    { signal },
  );
  go(`/console/payments/${encodeURIComponent(payment)}?refund=${encodeURIComponent(id)}`, { replace: true });
}
