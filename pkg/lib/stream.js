import { breathe } from "./breathe.js";
import { WillowError, answered } from "./error.js";

/**
 * A stream of bytes that are made as it is read. `begin` starts it at the first read and gives `{ next, cancel }`; what is wrong with the
 * arguments shows then.
 */
export function streamOf(begin) {
  let source;
  const pull = async (controller) => {
    try {
      source ??= begin();
      const piece = await answered(source.next());
      await breathe();
      if (piece === undefined) controller.close();
      else controller.enqueue(piece);
    } catch (thrown) {
      controller.error(WillowError.from(thrown));
      source?.cancel();
    }
  };
  return new ReadableStream({ pull, cancel: () => source?.cancel() }, { highWaterMark: 0 });
}
