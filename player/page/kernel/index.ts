// The compute kernel: what is hot in decoding, in WebAssembly. No state of its own but memory.
export { take, give, fill } from "./memory";
export { reader_open, reader_bit, reader_bits, latent_symbols } from "./bits";
export { conv_store, conv_add, conv_raw, conv_up, conv_head } from "./conv";
export { thumbnail_field, grey, copy_rows, double, in_channels, to_rgba, crc, crc_table } from "./picture";
export { tables_prepare } from "./tables";
export { run_items, passes_scratch, cell_plane_bytes, cell_plane_clear } from "./passes";
export { level_scratch, level_analyse, level_synthesise } from "./wavelet";
export {
  keep_band, cell_band, group_known, any_block, filter_sums, filter_inputs, filter_network, filter_move, forward_colour,
  shift_all, fill_rectangle, any_set, take_exact, shown,
} from "./bands";
