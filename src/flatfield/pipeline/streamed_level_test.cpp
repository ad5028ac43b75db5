#include "flatfield/pipeline/streamed_level.h"

#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <mutex>
#include <random>

#include "flatfield/core/error.h"
#include "flatfield/pipeline/stored_volume.h"
#include "support/process_threads.h"

namespace flatfield::pipeline {
namespace {

execution::ProcessGroup alone;

/// Counts the visits of each voxel, of which each sees the level's voxels around its box.
template <class T>
void count_visits(StreamedLevel& level, const Block<T>& voxels, const methods::LevelPass& pass, Block<std::uint32_t>& visits) {
  const Extent3& shape = voxels.shape();
  std::mutex mutex;
  level.visit(pass, [&](const methods::LevelBlock& block) {
    const std::lock_guard lock(mutex);
    ASSERT_EQ(block.seen, grown(block.box, pass.halo, shape));
    ASSERT_EQ(block.spare.size(), static_cast<std::size_t>(pass.spare_volumes));
    ASSERT_EQ(block.box.origin.x % 64, 0);
    for (std::int64_t z = 0; z < block.seen.shape.z; ++z)
      for (std::int64_t y = 0; y < block.seen.shape.y; ++y)
        for (std::int64_t x = 0; x < block.seen.shape.x; ++x) {
          const Extent3 at = block.seen.origin + Extent3{z, y, x};
          ASSERT_EQ(block.values.row(z, y)[x], static_cast<float>(voxels.at(at.z, at.y, at.x)));
        }
    const Box3 inner = block.inner();
    ASSERT_EQ(inner.shape, block.box.shape);
    for (std::int64_t z = 0; z < block.box.shape.z; ++z)
      for (std::int64_t y = 0; y < block.box.shape.y; ++y)
        for (std::int64_t x = 0; x < block.box.shape.x; ++x)
          ++visits.at(block.box.origin.z + z, block.box.origin.y + y, block.box.origin.x + x);
    for (const BlockView<float>& spare : block.spare) spare.row(0, 0)[0] = -1.0F;
  });
}

/// Every voxel of the planes was visited once, and no other.
void expect_once(const Block<std::uint32_t>& visits, const methods::LevelPass& pass) {
  const Extent3& shape = visits.shape();
  for (std::int64_t z = 0; z < shape.z; ++z) {
    bool wanted = pass.planes.empty();
    for (const methods::PlaneRange& range : pass.planes) wanted |= z >= range.first && z < range.last;
    for (std::int64_t y = 0; y < shape.y; ++y)
      for (std::int64_t x = 0; x < shape.x; ++x) ASSERT_EQ(visits.at(z, y, x), wanted ? 1U : 0U);
  }
}

template <class T>
void expect_faithful(StreamedLevel& level, const Block<T>& voxels, const methods::LevelPass& pass) {
  Block<std::uint32_t> visits(voxels.shape(), 0U);
  count_visits(level, voxels, pass, visits);
  expect_once(visits, pass);
}

/// The same where several processes share the level.
template <class T>
void expect_faithful_in_processes(int count, const Stored<T>& stored, StreamedLevel::Residence residence,
                                  std::int64_t bytes, const methods::LevelPass& pass) {
  testing_support::ProcessThreads::run(count, [&](execution::ProcessGroup& processes) {
    execution::ThreadPool pool(1);
    StreamedLevel level(stored.volume(), pool, processes, residence, bytes);
    for (const methods::LevelPass& each : {pass, methods::LevelPass{{2, 3, 1}, 0, {}}}) {
      Block<std::uint32_t> visits(stored.voxels.shape(), 0U);
      count_visits(level, stored.voxels, each, visits);
      level.merge().sum(visits.span());
      expect_once(visits, each);
    }
  });
}

template <class T>
void stream_randomly(unsigned seed) {
  std::mt19937 random(seed);
  const auto up_to = [&](std::int64_t n) { return 1 + static_cast<std::int64_t>(random()) % n; };
  for (int round = 0; round < 40; ++round) {
    SCOPED_TRACE(testing::Message() << "seed " << seed << ", round " << round);
    const Stored<T> stored({up_to(70), up_to(70), up_to(150)}, {up_to(30), up_to(30), up_to(70)},
                           seed + static_cast<unsigned>(round));
    const Extent3& shape = stored.voxels.shape();
    methods::LevelPass pass{{up_to(9) - 1, up_to(9) - 1, up_to(9) - 1}, static_cast<int>(random() % 3), {}};
    if (random() % 3 == 0) {
      std::vector<std::int64_t> planes;
      for (std::int64_t z = 0; z < shape.z; ++z)
        if (random() % 4 == 0) planes.push_back(z);
      pass.planes = methods::plane_ranges(planes);
    }
    execution::ThreadPool pool(1 + static_cast<int>(random() % 3));
    const std::int64_t least =
        least_stream_bytes(StreamedLevel::request_of(stored.volume(), pass, pool.workers()));
    StreamedLevel level(stored.volume(), pool, alone, StreamedLevel::Residence::kStreamed, least);
    expect_faithful(level, stored.voxels, pass);
    level.set_pass_bytes(least + static_cast<std::int64_t>(random() % 2000000));
    expect_faithful(level, stored.voxels, pass);
    StreamedLevel resident(stored.volume(), pool, alone, StreamedLevel::Residence::kInMemory, 1 << 26);
    expect_faithful(resident, stored.voxels, pass);
    expect_faithful(resident, stored.voxels, {});
    const int processes = 2 + static_cast<int>(random() % 4);
    expect_faithful_in_processes(processes, stored, StreamedLevel::Residence::kInMemory, 1 << 26, pass);
    expect_faithful_in_processes(
        processes, stored, StreamedLevel::Residence::kStreamed,
        std::max(least, least_stream_bytes(StreamedLevel::request_of(stored.volume(), {{2, 3, 1}, 0, {}}, 1))), pass);
  }
}

TEST(StreamedLevel, visits_every_voxel_once_with_its_halo_in_any_memory) {
  const unsigned seed = std::random_device{}();
  stream_randomly<std::uint8_t>(seed);
  stream_randomly<std::uint16_t>(seed + 1000);
}

TEST(StreamedLevel, visits_what_is_wanted_with_all_that_lies_within_the_halo_of_it) {
  const unsigned seed = std::random_device{}();
  std::mt19937 random(seed);
  const auto up_to = [&](std::int64_t n) { return 1 + static_cast<std::int64_t>(random()) % n; };
  for (int round = 0; round < 30; ++round) {
    SCOPED_TRACE(testing::Message() << "seed " << seed << ", round " << round);
    const Stored<std::uint16_t> stored({up_to(70), up_to(70), up_to(150)}, {up_to(20), up_to(20), up_to(40)}, seed);
    const Extent3& shape = stored.voxels.shape();
    std::vector<Extent3> wanted;
    for (int i = 0; i < 3; ++i) wanted.push_back({up_to(shape.z) - 1, up_to(shape.y) - 1, up_to(shape.x) - 1});
    methods::LevelPass pass{{up_to(5) - 1, up_to(5) - 1, up_to(5) - 1}, 0, {}};
    pass.wants = [&](const Box3& box) {
      return std::any_of(wanted.begin(), wanted.end(), [&](const Extent3& v) { return !intersect(box, {v, {1, 1, 1}}).empty(); });
    };
    execution::ThreadPool pool(2);
    const std::int64_t least = least_stream_bytes(StreamedLevel::request_of(stored.volume(), pass, 2));
    for (const auto residence : {StreamedLevel::Residence::kStreamed, StreamedLevel::Residence::kInMemory}) {
      StreamedLevel level(stored.volume(), pool, alone, residence,
                          residence == StreamedLevel::Residence::kStreamed ? least + up_to(1000000) : 1 << 26);
      std::mutex mutex;
      std::size_t visits = 0;
      level.visit(pass, [&](const methods::LevelBlock& block) {
        const std::lock_guard lock(mutex);
        EXPECT_TRUE(pass.wants(block.box));
        for (const Extent3& v : wanted) {
          if (intersect(block.box, {v, {1, 1, 1}}).empty()) continue;
          ++visits;
          const Box3 around = grown({v, {1, 1, 1}}, pass.halo, shape);
          for (std::int64_t i = 0; i < around.shape.volume(); ++i) {
            const Extent3 at = around.origin + unravel(i, around.shape);
            const Extent3 in = at - block.seen.origin;
            ASSERT_EQ(block.values.row(in.z, in.y)[in.x], static_cast<float>(stored.voxels.at(at.z, at.y, at.x)));
          }
        }
      });
      EXPECT_EQ(visits, wanted.size());
    }
  }
}

/// Counts the objects that are read.
class CountingStore final : public storage::MemoryStore {
 public:
  bool get(std::string_view key, Buffer& into) const override {
    ++objects;
    return MemoryStore::get(key, into);
  }
  mutable std::atomic<int> objects{0};
};

TEST(StreamedLevel, reads_a_chunk_once_for_all_ranges_of_planes_in_it) {
  const auto store = std::make_shared<CountingStore>();
  const Stored<std::uint16_t> stored({64, 24, 64}, {32, 12, 64}, 1, store);
  execution::ThreadPool pool(2);
  methods::LevelPass pass{{1, 2, 1}, 0, {}};
  StreamedLevel level(stored.volume(), pool, alone, StreamedLevel::Residence::kStreamed, 1 << 26);
  store->objects = 0;
  pass.planes = {{3, 4}, {9, 11}, {20, 21}, {40, 41}, {60, 64}};
  expect_faithful(level, stored.voxels, pass);
  EXPECT_EQ(store->objects, 4);
  store->objects = 0;
  pass.planes = {{3, 4}, {9, 11}};
  expect_faithful(level, stored.voxels, pass);
  EXPECT_EQ(store->objects, 2) << "of the others none";
}

TEST(StreamedLevel, refuses_a_pass_that_needs_more_than_its_bytes) {
  const Stored<std::uint16_t> stored({9, 9, 9}, {4, 4, 4}, 1);
  execution::ThreadPool pool(2);
  const methods::LevelPass pass{{2, 2, 2}, 1, {}};
  const std::int64_t least = least_stream_bytes(StreamedLevel::request_of(stored.volume(), pass, 2));
  StreamedLevel level(stored.volume(), pool, alone, StreamedLevel::Residence::kStreamed, least - 1);
  try {
    level.visit(pass, [](const methods::LevelBlock&) { FAIL() << "it has begun"; });
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kMemory);
  }
}

TEST(StreamedLevel, hands_on_what_a_visitor_of_another_process_throws) {
  const Stored<std::uint16_t> stored({8, 40, 30}, {8, 16, 16}, 3);
  std::atomic<int> caught{0};
  testing_support::ProcessThreads::run(3, [&](execution::ProcessGroup& processes) {
    execution::ThreadPool pool(1);
    StreamedLevel level(stored.volume(), pool, processes, StreamedLevel::Residence::kStreamed, 1 << 24);
    try {
      level.visit({}, [&](const methods::LevelBlock&) {
        if (processes.rank() == 1) throw Error(ErrorCode::kBadInput, "a damaged chunk");
      });
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kBadInput);
      ++caught;
    }
  });
  EXPECT_EQ(caught, 3);
}

TEST(StreamedLevel, hands_on_what_a_visitor_throws) {
  const Stored<std::uint16_t> stored({40, 40, 40}, {8, 8, 8}, 1);
  execution::ThreadPool pool(3);
  StreamedLevel level(stored.volume(), pool, alone, StreamedLevel::Residence::kStreamed, 1 << 24);
  EXPECT_THROW(level.visit({}, [](const methods::LevelBlock&) { throw Error(ErrorCode::kBadInput, "no"); }), Error);
}

TEST(StreamGeometry, decodes_a_chunk_once_where_a_band_of_chunks_fits) {
  // Planes of 4096 x 4096 in 1 GB: bands of whole chunks.
  const StreamRequest request{{256, 4096, 4096}, {128, 128, 128}, 2, {8, 8, 8}, 1, 2};
  const auto geometry = choose_geometry(request, std::int64_t{300} << 20);
  ASSERT_TRUE(geometry);
  EXPECT_EQ(geometry->band % 128, 0);
  EXPECT_EQ(geometry->slab % 128, 0);
  EXPECT_LE(geometry->bytes, std::int64_t{300} << 20);
  // What is held does not grow with the planes but for the rows kept between bands.
  StreamRequest longer = request;
  longer.shape.z = 1024;
  EXPECT_LE(least_stream_bytes(longer) - least_stream_bytes(request), std::int64_t{768} * 16 * 4096 * 2);
}

TEST(StreamGeometry, thrifty_bytes_suffice_to_decode_each_chunk_once) {
  for (const Extent3& shape : {Extent3{128, 512, 512}, {1000, 512, 512}, {32, 300, 200}, {5, 7, 9}, {256, 4096, 4096}})
    for (const std::int64_t halo : {0, 4, 8}) {
      const StreamRequest request{shape, {128, 128, 128}, 2, {halo, halo, halo}, 1, 2};
      const std::int64_t bytes = thrifty_stream_bytes(request);
      const auto geometry = choose_geometry(request, bytes);
      ASSERT_TRUE(geometry);
      EXPECT_GE(bytes, least_stream_bytes(request));
      EXPECT_TRUE(geometry->band == shape.y || geometry->band % 128 == 0) << geometry->band;
      EXPECT_TRUE(geometry->slab == shape.z || geometry->slab % 128 == 0) << geometry->slab;
    }
}

TEST(StreamGeometry, counts_chunks_as_they_are_stored_and_decoded) {
  const Stored<std::uint16_t> stored({9, 9, 9}, {4, 4, 4}, 1);
  StreamRequest request = StreamedLevel::request_of(stored.volume(), {}, 2);
  EXPECT_EQ(request.reading_bytes, chunk_reading_bytes(stored.volume().array().metadata()));
  const std::int64_t least = least_stream_bytes(request);
  request.reading_bytes += 1000;
  EXPECT_EQ(least_stream_bytes(request), least + 2 * 1000);
  zarr::ArrayMetadata metadata = stored.volume().array().metadata();
  const std::int64_t of_one = chunk_reading_bytes(metadata);
  metadata.shape.insert(metadata.shape.begin(), 3);
  metadata.chunk_shape.insert(metadata.chunk_shape.begin(), 3);
  EXPECT_GE(chunk_reading_bytes(metadata) - of_one, 2 * 2 * 4 * 4 * 4 * 2) << "of three channels";
}

TEST(StreamGeometry, reads_small_planes_whole) {
  const auto geometry = choose_geometry({{4000, 300, 400}, {64, 64, 64}, 2, {8, 8, 8}, 1, 2}, 200 << 20);
  ASSERT_TRUE(geometry);
  EXPECT_EQ(geometry->band, 300);
}

}  // namespace
}  // namespace flatfield::pipeline
